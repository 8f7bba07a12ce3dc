#pragma once
#include <stdint.h>

/// A micro-kernel: `C [m, n] = A·B`, or `C += A·B` where `accumulate` is not zero, over `depth` steps, with the operands in
/// cache. Element (i, s) of A stands at `a[i·a_row + s·a_step]`, row s of B at `b + s·ldb`, row i of C at `c + i·ldc`; rows of B
/// and C are contiguous. Rows of B are read up to the next multiple of 16 elements, so their memory must reach that far.
typedef void (*matrix_tile_float)(intptr_t m, intptr_t n, intptr_t depth, const float *a, intptr_t a_row, intptr_t a_step,
                                  const float *b, intptr_t ldb, float *c, intptr_t ldc, int32_t accumulate);
typedef void (*matrix_tile_double)(intptr_t m, intptr_t n, intptr_t depth, const double *a, intptr_t a_row, intptr_t a_step,
                                   const double *b, intptr_t ldb, double *c, intptr_t ldc, int32_t accumulate);

/// The micro-kernel for the widest vectors of this processor.
matrix_tile_float best_matrix_tile_float(void);
matrix_tile_double best_matrix_tile_double(void);

/// The extents of `matrix_block_*` that one call packs at a time; the workspace is `matrix_block_workspace()` elements.
enum { MATRIX_BLOCK_ROWS = 512, MATRIX_BLOCK_COLUMNS = 512, MATRIX_BLOCK_DEPTH = 256 };

/// One block of a matrix product, `C [m, n] (+)= A [m, k]·B [k, n]` with m ≤ MATRIX_BLOCK_ROWS, n ≤ MATRIX_BLOCK_COLUMNS and any
/// k. One of the two strides of A and of B is 1; rows of C are contiguous. The order of the sums depends on k alone.
void matrix_block_float(intptr_t m, intptr_t n, intptr_t k, const float *a, intptr_t a_row, intptr_t a_column, const float *b,
                        intptr_t b_row, intptr_t b_column, float *c, intptr_t ldc, int32_t accumulate, float *workspace);
void matrix_block_double(intptr_t m, intptr_t n, intptr_t k, const double *a, intptr_t a_row, intptr_t a_column,
                         const double *b, intptr_t b_row, intptr_t b_column, double *c, intptr_t ldc, int32_t accumulate,
                         double *workspace);
intptr_t matrix_block_workspace(void);

/// `y [n] (+)= x [k]·B [k, n]` with row s of B at `b + s·b_row`.
void vector_matrix_float(intptr_t n, intptr_t k, const float *x, const float *b, intptr_t b_row, float *y, int32_t accumulate);
void vector_matrix_double(intptr_t n, intptr_t k, const double *x, const double *b, intptr_t b_row, double *y,
                          int32_t accumulate);

/// `y [n] (+)= B [n, k]·x [k]` with row i of B at `b + i·b_row`.
void matrix_vector_float(intptr_t n, intptr_t k, const float *x, const float *b, intptr_t b_row, float *y, int32_t accumulate);
void matrix_vector_double(intptr_t n, intptr_t k, const double *x, const double *b, intptr_t b_row, double *y,
                          int32_t accumulate);

/// The yardstick of the benchmarks: runs `steps` rounds of independent multiply-adds of the widest vectors in registers, writes
/// a value that depends on all of them to `sink`, and returns the number of floating-point operations.
double register_peak_float(intptr_t steps, float *sink);
