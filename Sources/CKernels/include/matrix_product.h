#pragma once
#include <stdint.h>

/// A micro-kernel: `C [m, n] = A·B` or `C += A·B` over `depth` steps, all operands in cache. Element (i, s) of A stands at
/// `a[i·row_stride + s·depth_stride]`; row s of B at `b + s·ldb`, row i of C at `c + i·ldc`, both contiguous.
typedef void (*matrix_tile_float)(intptr_t m, intptr_t n, intptr_t depth, const float *a, intptr_t row_stride, intptr_t depth_stride,
                                  const float *b, intptr_t ldb, float *c, intptr_t ldc, int32_t accumulate);
typedef void (*matrix_tile_double)(intptr_t m, intptr_t n, intptr_t depth, const double *a, intptr_t row_stride,
                                   intptr_t depth_stride, const double *b, intptr_t ldb, double *c, intptr_t ldc,
                                   int32_t accumulate);

/// The micro-kernels for the widest vectors of this processor.
matrix_tile_float best_matrix_tile_float(void);
matrix_tile_double best_matrix_tile_double(void);

/// One block of a matrix product: `C [m, n] (+)= A [m, k] · B [k, n]`, each operand at arbitrary strides, C row-major.
/// Packs panels into `workspace` (`matrix_block_workspace` elements).
void matrix_block_float(intptr_t m, intptr_t n, intptr_t k, const float *a, intptr_t a_row, intptr_t a_column, const float *b,
                        intptr_t b_row, intptr_t b_column, float *c, intptr_t ldc, int32_t accumulate, float *workspace);
void matrix_block_double(intptr_t m, intptr_t n, intptr_t k, const double *a, intptr_t a_row, intptr_t a_column, const double *b,
                         intptr_t b_row, intptr_t b_column, double *c, intptr_t ldc, int32_t accumulate, double *workspace);
intptr_t matrix_block_workspace(void);

/// Runs `steps · 24` independent fused multiply-adds of the widest vectors in registers and returns how many floating-point
/// operations that was: the yardstick of the benchmarks.
double register_peak_float(intptr_t steps, float *sink);
