#include "matrix_product.h"

// Register tiles of 8×2 vectors fill the 32 registers of AVX-512 and of Neon halfway, 6×2 the 16 registers of AVX2; both have
// more independent sums than the multiply-add latency needs.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#define NAME tile_float_v4
#define REAL float
#define LANES 16
#define ROWS 8
#include "matrix_tile.inc"
#define NAME tile_double_v4
#define REAL double
#define LANES 8
#define ROWS 8
#include "matrix_tile.inc"
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#define NAME tile_float_v3
#define REAL float
#define LANES 8
#define ROWS 6
#include "matrix_tile.inc"
#define NAME tile_double_v3
#define REAL double
#define LANES 4
#define ROWS 6
#include "matrix_tile.inc"
#pragma clang attribute pop

#endif

#if defined(__aarch64__)
#define BASE_ROWS 8
#else
#define BASE_ROWS 4
#endif

#define NAME tile_float_base
#define REAL float
#define LANES 4
#define ROWS BASE_ROWS
#include "matrix_tile.inc"
#define NAME tile_double_base
#define REAL double
#define LANES 2
#define ROWS BASE_ROWS
#include "matrix_tile.inc"

matrix_tile_float best_matrix_tile_float(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("x86-64-v4")) return tile_float_v4;
    if (__builtin_cpu_supports("x86-64-v3")) return tile_float_v3;
#endif
    return tile_float_base;
}

matrix_tile_double best_matrix_tile_double(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("x86-64-v4")) return tile_double_v4;
    if (__builtin_cpu_supports("x86-64-v3")) return tile_double_v3;
#endif
    return tile_double_base;
}

#define PEAK(name, lanes)                                                                                                      \
    static double name(intptr_t steps, float *sink) {                                                                          \
        typedef float vector __attribute__((vector_size(lanes * sizeof(float))));                                              \
        enum { sums = lanes == 16 ? 24 : 12 };                                                                                 \
        vector sum[sums], factor = (vector){0} + 1.0001f, term = (vector){0} + 1e-9f;                                          \
        for (int i = 0; i < sums; i++) sum[i] = (vector){0} + (float)i;                                                        \
        for (intptr_t s = 0; s < steps; s++) {                                                                                 \
            _Pragma("unroll") for (int i = 0; i < sums; i++) sum[i] = sum[i] * factor + term;                                  \
        }                                                                                                                      \
        float total = 0;                                                                                                       \
        for (int i = 0; i < sums; i++) total += sum[i][0];                                                                     \
        *sink = total;                                                                                                         \
        return 2.0 * lanes * sums * (double)steps;                                                                             \
    }

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
PEAK(peak_v4, 16)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
PEAK(peak_v3, 8)
#pragma clang attribute pop
#endif
PEAK(peak_base, 4)

double register_peak_float(intptr_t steps, float *sink) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("x86-64-v4")) return peak_v4(steps, sink);
    if (__builtin_cpu_supports("x86-64-v3")) return peak_v3(steps, sink);
#endif
    return peak_base(steps, sink);
}
