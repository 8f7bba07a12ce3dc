#include "layers.h"
#include "elementary.h"
#include "simd.h"
#include <math.h>
#include <string.h>

/// Added to the mean square before its root is taken.
#define NORM_EPSILON ((REAL)1e-5)
/// sqrt without errno, so that loops over it vectorize.
#define SQUARE_ROOT __builtin_elementwise_sqrt

#define REAL float
#define KERNEL(name) name##_float
#define EXP exp_real_float
#define LOG1P log1p_real_float
#include "layers_activation.inc"
#include "layers_norm.inc"
#include "layers_rows.inc"
#include "layers_training.inc"
#undef REAL
#undef KERNEL
#undef EXP
#undef LOG1P

#define REAL double
#define KERNEL(name) name##_double
#define EXP exp_real_double
#define LOG1P log1p_real_double
#include "layers_activation.inc"
#include "layers_norm.inc"
#include "layers_rows.inc"
#include "layers_training.inc"

/// Defines the function that the header declares: it calls the variant for the element type.
#define DISPATCH(Result, name, parameters, ...)                                                                                \
    Result name parameters { return type == 0 ? name##_double(__VA_ARGS__) : name##_float(__VA_ARGS__); }

DISPATCH(void, layer_norm,
         (int32_t type, const void *x, const void *weight, const void *bias, void *y, void *statistics, intptr_t first,
          intptr_t end, intptr_t width),
         x, weight, bias, y, statistics, first, end, width)
DISPATCH(void, layer_norm_backward,
         (int32_t type, const void *x, const void *weight, const void *statistics, const void *gradient, void *input_gradient,
          int32_t accumulate, void *partial, intptr_t first, intptr_t end, intptr_t width),
         x, weight, statistics, gradient, input_gradient, accumulate, partial, first, end, width)
DISPATCH(void, rms_norm,
         (int32_t type, const void *x, const void *weight, void *y, void *statistics, intptr_t first, intptr_t end,
          intptr_t width),
         x, weight, y, statistics, first, end, width)
DISPATCH(void, rms_norm_backward,
         (int32_t type, const void *x, const void *weight, const void *statistics, const void *gradient, void *input_gradient,
          int32_t accumulate, void *partial, intptr_t first, intptr_t end, intptr_t width),
         x, weight, statistics, gradient, input_gradient, accumulate, partial, first, end, width)
DISPATCH(void, gelu, (int32_t type, const void *x, void *y, intptr_t first, intptr_t end), x, y, first, end)
DISPATCH(void, gelu_backward, (int32_t type, const void *x, void *gradient, intptr_t first, intptr_t end), x, gradient, first,
         end)
DISPATCH(void, swiglu, (int32_t type, const void *x, void *y, intptr_t first, intptr_t end, intptr_t width), x, y, first, end,
         width)
DISPATCH(void, swiglu_backward,
         (int32_t type, const void *x, const void *gradient, void *input_gradient, intptr_t first, intptr_t end,
          intptr_t width),
         x, gradient, input_gradient, first, end, width)
DISPATCH(void, log_sigmoid,
         (int32_t type, const void *x, const void *bias, void *y, intptr_t first, intptr_t end, intptr_t width), x, bias, y,
         first, end, width)
DISPATCH(void, log_sigmoid_backward,
         (int32_t type, const void *x, const void *bias, void *gradient, void *partial, intptr_t first, intptr_t end,
          intptr_t width),
         x, bias, gradient, partial, first, end, width)
DISPATCH(void, rotate_pairs,
         (int32_t type, void *x, const void *cosines, const void *sines, double direction, intptr_t first, intptr_t end,
          intptr_t length, intptr_t heads, intptr_t width),
         x, cosines, sines, direction, first, end, length, heads, width)
DISPATCH(void, embed_rows,
         (int32_t type, const int32_t *tokens, const void *table, void *y, intptr_t first, intptr_t end, intptr_t width),
         tokens, table, y, first, end, width)
DISPATCH(void, embed_rows_backward,
         (int32_t type, const int32_t *tokens, const void *gradient, void *table_gradient, intptr_t rows, intptr_t width,
          intptr_t part, intptr_t parts),
         tokens, gradient, table_gradient, rows, width, part, parts)
DISPATCH(void, add_bias, (int32_t type, void *x, const void *bias, intptr_t first, intptr_t end, intptr_t width), x, bias,
         first, end, width)
DISPATCH(void, sum_columns, (int32_t type, const void *x, void *partial, intptr_t first, intptr_t end, intptr_t width), x,
         partial, first, end, width)
DISPATCH(void, add_partial_sums,
         (int32_t type, const void *partials, intptr_t parts, intptr_t stride, void *destination, intptr_t width), partials,
         parts, stride, destination, width)
DISPATCH(void, cross_entropy,
         (int32_t type, void *logits, const int32_t *targets, void *losses, int32_t gradient, double scale, intptr_t first,
          intptr_t end, intptr_t width),
         logits, targets, losses, gradient, scale, first, end, width)
DISPATCH(double, sum_of_squares, (int32_t type, const void *x, intptr_t first, intptr_t end), x, first, end)
DISPATCH(void, adamw,
         (int32_t type, void *value, const void *gradient, void *first_moment, void *second_moment, intptr_t first,
          intptr_t end, double gradient_scale, double learning_rate, double weight_decay, double beta1, double beta2,
          double epsilon, double first_correction, double second_correction),
         value, gradient, first_moment, second_moment, first, end, gradient_scale, learning_rate, weight_decay, beta1, beta2,
         epsilon, first_correction, second_correction)
