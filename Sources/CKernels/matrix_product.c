#include "matrix_product.h"
#include "simd.h"
#include <string.h>

enum {
    /// Columns of B packed at a time: with 256 steps they stay in the first-level cache beside the rows of A.
    PANEL = 32,
    /// Rows of A, or groups of 48 of its columns, lie a little more than the depth apart.
    A_STRIDE = MATRIX_BLOCK_DEPTH + 16,
    A_GROUP = 48,
    PACKED_A = A_STRIDE * (MATRIX_BLOCK_ROWS + A_GROUP),
    PANELS = 8,
    PACKED_B = MATRIX_BLOCK_DEPTH * PANEL * PANELS,
};

intptr_t matrix_block_workspace(void) { return PACKED_A + PACKED_B; }

typedef float row8 __attribute__((vector_size(32), aligned(4)));

/// Transposes 8 rows of 8 in registers, in three rounds of exchanging blocks of 4, 2 and 1.
POWER_CLONES static void transpose_8x8_float(const float *source, intptr_t stride, float *target, intptr_t width) {
    row8 r[8], t[8];
    for (int i = 0; i < 8; i++) r[i] = *(const row8 *)(source + i * stride);
    for (int i = 0; i < 4; i++) {
        t[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        t[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    for (int h = 0; h < 8; h += 4)
        for (int i = 0; i < 2; i++) {
            r[h + i] = __builtin_shufflevector(t[h + i], t[h + i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            r[h + i + 2] = __builtin_shufflevector(t[h + i], t[h + i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 8; i += 2) {
        t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i++) *(row8 *)(target + i * width) = t[i];
}

static void transpose_8x8_double(const double *source, intptr_t stride, double *target, intptr_t width) {
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) target[i * width + j] = source[j * stride + i];
}

#define REAL float
#define BLOCK matrix_block_float
#define TILE_TYPE matrix_tile_float
#define BEST_TILE best_matrix_tile_float
#define TRANSPOSE transpose_panel_float
#define TRANSPOSE_8x8 transpose_8x8_float
#define VECTOR_MATRIX vector_matrix_float
#define MATRIX_VECTOR matrix_vector_float
#include "matrix_block.inc"

#define REAL double
#define BLOCK matrix_block_double
#define TILE_TYPE matrix_tile_double
#define BEST_TILE best_matrix_tile_double
#define TRANSPOSE transpose_panel_double
#define TRANSPOSE_8x8 transpose_8x8_double
#define VECTOR_MATRIX vector_matrix_double
#define MATRIX_VECTOR matrix_vector_double
#include "matrix_block.inc"
