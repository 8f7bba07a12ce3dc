#include "attention.h"
#include "elementary.h"
#include "simd.h"

enum { L = TOKEN_LANES };

POWER_CLONES
void diagonal_decay(const double *gate, intptr_t count, float *factor) {
    for (intptr_t j = 0; j < L; j++)
        for (int l = 0; l < L; l++) {
            float decay = 1;
            if (gate && j < count && l < count) decay = exp_real_float((float)(gate[l] - gate[j]));
            factor[j * L + l] = l >= j && l < count ? decay : 0;
        }
}

POWER_CLONES
void relative_decay(const double *gate, double reference, double sign, intptr_t count, float *weight) {
    for (intptr_t j = 0; j < count; j++) weight[j] = exp_real_float((float)(sign * (gate[j] - reference)));
}

/// x^n for n of 0…4.
static inline __attribute__((always_inline)) float small_power(float x, int n) {
    float square = x * x;
    switch (n) {
    case 0: return 1;
    case 1: return x;
    case 2: return square;
    case 3: return square * x;
    default: return square * square;
    }
}

static inline __attribute__((always_inline)) void weights(const int degree, intptr_t rows, float *score,
                                                          const float *tile_factor, const float *key_factor,
                                                          const float *query_factor, float *normalizer) {
    for (intptr_t j = 0; j < rows; j++) {
        float *restrict row = score + j * L;
        if (tile_factor) {
            const float *restrict factor = tile_factor + j * L;
            for (int l = 0; l < L; l++) row[l] = small_power(row[l], degree) * factor[l];
        } else {
            float key = key_factor ? key_factor[j] : 1;
            for (int l = 0; l < L; l++) row[l] = small_power(row[l], degree) * (key * query_factor[l]);
        }
        for (int l = 0; l < L; l++) normalizer[l] += row[l];
    }
}

POWER_CLONES
void power_weights(int32_t degree, intptr_t rows, float *score, const float *tile_factor, const float *key_factor,
                   const float *query_factor, float *normalizer) {
    switch (degree) {
    case 1: weights(1, rows, score, tile_factor, key_factor, query_factor, normalizer); break;
    case 2: weights(2, rows, score, tile_factor, key_factor, query_factor, normalizer); break;
    case 3: weights(3, rows, score, tile_factor, key_factor, query_factor, normalizer); break;
    default: weights(4, rows, score, tile_factor, key_factor, query_factor, normalizer);
    }
}

static inline __attribute__((always_inline)) void weights_backward(const int degree, intptr_t rows, float *score,
                                                                   float *gradient, const float *tile_factor,
                                                                   const float *key_factor, const float *query_factor,
                                                                   const float *offset) {
    for (intptr_t j = 0; j < rows; j++) {
        float *restrict row = score + j * L, *restrict slope = gradient + j * L;
        const float *factor = tile_factor ? tile_factor + j * L : query_factor;
        float key = !tile_factor && key_factor ? key_factor[j] : 1;
        for (int l = 0; l < L; l++) {
            float lower = small_power(row[l], degree - 1) * (key * factor[l]);
            row[l] *= lower;
            slope[l] = (slope[l] + offset[l]) * (degree * lower);
        }
    }
}

POWER_CLONES
void power_weights_backward(int32_t degree, intptr_t rows, float *score, float *gradient, const float *tile_factor,
                            const float *key_factor, const float *query_factor, const float *offset) {
    switch (degree) {
    case 1: weights_backward(1, rows, score, gradient, tile_factor, key_factor, query_factor, offset); break;
    case 2: weights_backward(2, rows, score, gradient, tile_factor, key_factor, query_factor, offset); break;
    case 3: weights_backward(3, rows, score, gradient, tile_factor, key_factor, query_factor, offset); break;
    default: weights_backward(4, rows, score, gradient, tile_factor, key_factor, query_factor, offset);
    }
}

/// Scores become exponents; keys that a query may not see get −∞.
static inline __attribute__((always_inline)) void exponents(intptr_t rows, intptr_t lanes, float *score, float scale,
                                                            const exponential_mask *mask) {
    for (intptr_t j = 0; j < rows; j++) {
        float *restrict row = score + j * L;
        if (mask->key_gate) {
            const double *restrict query_gate = mask->query_gate;
            double key_gate = mask->key_gate[j];
            for (intptr_t l = 0; l < lanes; l++) row[l] = row[l] * scale + (float)(query_gate[l] - key_gate);
        } else {
            for (int l = 0; l < L; l++) row[l] *= scale;
        }
        // Visible: key ≤ query and key > query − window.
        intptr_t first = mask->key + j - mask->query, last = first + mask->window - 1;
        if (first > 0 || last < L - 1)
            for (int l = 0; l < L; l++) row[l] = l >= first && l <= last ? row[l] : -INFINITY;
    }
}

POWER_CLONES
void exponential_weights(intptr_t rows, intptr_t lanes, float *score, float scale, const exponential_mask *mask, float *maximum,
                         float *sum, float *shrink) {
    float highest[L], reference[L], total[L] = {0};
    exponents(rows, lanes, score, scale, mask);
    for (int l = 0; l < L; l++) highest[l] = maximum[l];
    for (intptr_t j = 0; j < rows; j++)
        for (int l = 0; l < L; l++) highest[l] = score[j * L + l] > highest[l] ? score[j * L + l] : highest[l];
    for (int l = 0; l < L; l++) {
        // A lane that has seen no key yet has no maximum to subtract.
        reference[l] = highest[l] > -INFINITY ? highest[l] : 0;
        shrink[l] = exp_real_float(maximum[l] - reference[l]);
        maximum[l] = highest[l];
    }
    for (intptr_t j = 0; j < rows; j++) {
        float *restrict row = score + j * L;
        for (int l = 0; l < L; l++) {
            row[l] = exp_real_float(row[l] - reference[l]);
            total[l] += row[l];
        }
    }
    for (int l = 0; l < L; l++) sum[l] = sum[l] * shrink[l] + total[l];
}

POWER_CLONES
void exponential_weights_backward(intptr_t rows, intptr_t lanes, float *score, float *gradient, float scale,
                                  const exponential_mask *mask, const float *log_sum, const float *offset, float *key_sum) {
    exponents(rows, lanes, score, scale, mask);
    for (intptr_t j = 0; j < rows; j++) {
        float *restrict row = score + j * L, *restrict slope = gradient + j * L;
        float partial[16] = {0}, total = 0;
        for (int l = 0; l < L; l++) {
            row[l] = exp_real_float(row[l] - log_sum[l]);
            slope[l] = (slope[l] + offset[l]) * row[l];
            partial[l % 16] += slope[l];
            slope[l] *= scale;
        }
        for (int x = 0; x < 16; x++) total += partial[x];
        key_sum[j] += total;
    }
}
