#include "attention.h"
#include "simd.h"
#include <string.h>

enum { L = TOKEN_LANES };

POWER_CLONES
void transpose_tokens(const float *x, intptr_t stride, intptr_t rows, intptr_t d, const float *factor, float *out, intptr_t ld,
                      intptr_t lanes) {
    for (intptr_t l0 = 0; l0 < lanes; l0 += 16)
        for (intptr_t i = 0; i < d; i++) {
            float *restrict to = out + i * ld + l0;
            const float *from = x + l0 * stride + i;
            intptr_t present = rows - l0;
            if (present >= 16)
                for (int l = 0; l < 16; l++) to[l] = from[l * stride] * factor[l0 + l];
            else
                for (int l = 0; l < 16; l++) to[l] = l < present ? from[l * stride] * factor[l0 + l] : 0;
        }
}

POWER_CLONES
void combine_rows(const float *tile, const float *weight, intptr_t rows, double *sum) {
    enum { span = 16 };
    for (intptr_t f = 0; f < rows; f += span) {
        intptr_t end = f + span < rows ? f + span : rows;
        float total[L] = {0};
        for (intptr_t r = f; r < end; r++) {
            float w = weight[r];
            for (int l = 0; l < L; l++) total[l] += w * tile[r * L + l];
        }
        for (int l = 0; l < L; l++) sum[l] += total[l];
    }
}

/// `sum[r] += Σ_l row r · weight` for a few rows at once: their sums do not wait for one another.
static inline __attribute__((always_inline)) void dot_rows(const int rows, const float *tile, intptr_t ld, const float *weight,
                                                           intptr_t lanes, float *sum) {
    float partial[4][16] = {{0}};
    for (intptr_t l = 0; l < lanes; l += 16)
        for (int r = 0; r < rows; r++)
            for (int x = 0; x < 16; x++) partial[r][x] += tile[r * ld + l + x] * weight[l + x];
    for (int r = 0; r < rows; r++) {
        float total = 0;
        for (int x = 0; x < 16; x++) total += partial[r][x];
        sum[r] += total;
    }
}

POWER_CLONES
void combine_lanes(const float *tile, intptr_t ld, intptr_t rows, const float *weight, intptr_t lanes, float *sum) {
    intptr_t f = 0;
    for (; f + 4 <= rows; f += 4) dot_rows(4, tile + f * ld, ld, weight, lanes, sum + f);
    for (; f < rows; f++) dot_rows(1, tile + f * ld, ld, weight, lanes, sum + f);
}

POWER_CLONES
void add_outer_product(float *tile, const float *column, const float *row, intptr_t rows) {
    for (intptr_t f = 0; f < rows; f++) {
        float factor = column[f];
        for (int l = 0; l < L; l++) tile[f * L + l] += factor * row[l];
    }
}

POWER_CLONES
void scale_elements(float *x, float factor, intptr_t count) {
    for (intptr_t i = 0; i < count; i++) x[i] *= factor;
}

POWER_CLONES
void scale_lanes(float *tile, const float *row, intptr_t rows) {
    for (intptr_t f = 0; f < rows; f++)
        for (int l = 0; l < L; l++) tile[f * L + l] *= row[l];
}

POWER_CLONES
void store_tokens(const float *tile, intptr_t d, intptr_t rows, const double *factor, float *out, intptr_t stride,
                  int32_t accumulate) {
    for (intptr_t l = 0; l < rows; l++) {
        float *restrict to = out + l * stride;
        double f = factor[l];
        if (accumulate)
            for (intptr_t i = 0; i < d; i++) to[i] += (float)(tile[i * L + l] * f);
        else
            for (intptr_t i = 0; i < d; i++) to[i] = (float)(tile[i * L + l] * f);
    }
}

POWER_CLONES
void scale_tokens(const float *x, intptr_t stride, intptr_t rows, intptr_t d, const float *factor, float *out, intptr_t ld) {
    for (intptr_t l = 0; l < rows; l++) {
        float f = factor[l];
        float *restrict to = out + l * ld;
        for (intptr_t i = 0; i < d; i++) to[i] = x[l * stride + i] * f;
        for (intptr_t i = d; i < ld; i++) to[i] = 0;
    }
}

POWER_CLONES
double inner_product(const float *x, const float *y, intptr_t count) {
    double partial[8] = {0}, total = 0;
    intptr_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int l = 0; l < 8; l++) partial[l] += (double)x[i + l] * y[i + l];
    for (; i < count; i++) total += (double)x[i] * y[i];
    for (int l = 0; l < 8; l++) total += partial[l];
    return total;
}

POWER_CLONES
float largest_magnitude(const float *x, intptr_t count) {
    float largest = 0;
    for (intptr_t i = 0; i < count; i++) {
        float magnitude = x[i] < 0 ? -x[i] : x[i];
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

void row_offsets(const float *dy, const float *y, intptr_t stride, intptr_t rows, intptr_t e, const float *factor,
                 intptr_t row_stride, float *offset) {
    for (intptr_t r = 0; r < rows; r++)
        offset[r * row_stride] = (float)(-factor[r * row_stride] * inner_product(dy + r * stride, y + r * stride, e));
}
