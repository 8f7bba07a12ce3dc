#pragma once
#include <stdint.h>

/// The layers of a language model. `type` is 0 for double, 1 for float and applies to every `void` pointer. Activations are
/// row-major, one row a token; a call works on rows `first ..< end` (or on elements `first ..< end`, where there are no rows).
/// Calls on disjoint ranges may run at the same time.
///
/// Gradients of vectors that all rows share are sums over rows: a call writes the sum over its own rows to a `partial` buffer,
/// and `add_partial_sums` adds up the buffers in a fixed order, so that the result does not depend on threads.

void layer_norm(int32_t type, const void *x, const void *weight, const void *bias, void *y, void *statistics, intptr_t first,
                intptr_t end, intptr_t width);
/// `partial` holds the `width` sums of the weight's gradient, then those of the bias's.
void layer_norm_backward(int32_t type, const void *x, const void *weight, const void *statistics, const void *gradient,
                         void *input_gradient, int32_t accumulate, void *partial, intptr_t first, intptr_t end, intptr_t width);
void rms_norm(int32_t type, const void *x, const void *weight, void *y, void *statistics, intptr_t first, intptr_t end,
              intptr_t width);
void rms_norm_backward(int32_t type, const void *x, const void *weight, const void *statistics, const void *gradient,
                       void *input_gradient, int32_t accumulate, void *partial, intptr_t first, intptr_t end, intptr_t width);

void gelu(int32_t type, const void *x, void *y, intptr_t first, intptr_t end);
/// The gradient of the output becomes that of the input.
void gelu_backward(int32_t type, const void *x, void *gradient, intptr_t first, intptr_t end);
/// A row of `x` is `[gate, value]`, each of `width` elements.
void swiglu(int32_t type, const void *x, void *y, intptr_t first, intptr_t end, intptr_t width);
void swiglu_backward(int32_t type, const void *x, const void *gradient, void *input_gradient, intptr_t first, intptr_t end,
                     intptr_t width);
void log_sigmoid(int32_t type, const void *x, const void *bias, void *y, intptr_t first, intptr_t end, intptr_t width);
/// The gradient of the output becomes that of the input; `partial` holds the `width` sums of the bias's gradient.
void log_sigmoid_backward(int32_t type, const void *x, const void *bias, void *gradient, void *partial, intptr_t first,
                          intptr_t end, intptr_t width);

/// A row of `x` is `heads` vectors of `width` elements; row `r` turns by the angles in row `r % length` of the tables, which
/// have `width / 2` columns. `direction` is 1, or −1 to turn back.
void rotate_pairs(int32_t type, void *x, const void *cosines, const void *sines, double direction, intptr_t first,
                  intptr_t end, intptr_t length, intptr_t heads, intptr_t width);

void embed_rows(int32_t type, const int32_t *tokens, const void *table, void *y, intptr_t first, intptr_t end, intptr_t width);
/// Adds the rows whose token is `part` modulo `parts`.
void embed_rows_backward(int32_t type, const int32_t *tokens, const void *gradient, void *table_gradient, intptr_t rows,
                         intptr_t width, intptr_t part, intptr_t parts);

void add_bias(int32_t type, void *x, const void *bias, intptr_t first, intptr_t end, intptr_t width);
/// Writes the column sums of the rows to `partial`.
void sum_columns(int32_t type, const void *x, void *partial, intptr_t first, intptr_t end, intptr_t width);
/// `destination[i] += Σ_p partials[p · stride + i]`, in the order of `p`.
void add_partial_sums(int32_t type, const void *partials, intptr_t parts, intptr_t stride, void *destination, intptr_t width);

/// Writes a loss a row; where `gradient` is nonzero, replaces the logits by the derivative of `scale · Σ_r losses[r]`.
void cross_entropy(int32_t type, void *logits, const int32_t *targets, void *losses, int32_t gradient, double scale,
                   intptr_t first, intptr_t end, intptr_t width);

double sum_of_squares(int32_t type, const void *x, intptr_t first, intptr_t end);
/// `first_correction` and `second_correction` are `1 / (1 − β^step)` of the two moments.
void adamw(int32_t type, void *value, const void *gradient, void *first_moment, void *second_moment, intptr_t first,
           intptr_t end, double gradient_scale, double learning_rate, double weight_decay, double beta1, double beta2,
           double epsilon, double first_correction, double second_correction);
