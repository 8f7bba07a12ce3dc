#include "attention.h"
#include "simd.h"
#include <string.h>

/// The product of the first `degree − 1` factors of a run.
static inline float prefix(feature_run run, int32_t degree, const float *x) {
    switch (degree) {
    case 1: return 1;
    case 2: return x[run.first];
    case 3: return x[run.first] * x[run.second];
    default: return x[run.first] * x[run.second] * x[run.third];
    }
}

/// Adds one run's part of the answer: summed on its own before it joins the total, which keeps the rounding errors of tens of
/// thousands of features small.
static inline __attribute__((always_inline)) void run_answer(feature_run run, float q_prefix, const float *restrict q,
                                                             const float *restrict S, const float *restrict z, intptr_t e,
                                                             float *restrict y, double *normalizer) {
    float partial[256];
    double weight = 0;
    memset(partial, 0, (size_t)e * sizeof *partial);
    for (intptr_t n = 0; n < run.length; n++) {
        float coefficient = n < run.head_length ? run.head_coefficient : run.tail_coefficient;
        float feature = coefficient * q_prefix * q[n];
        const float *restrict row = S + n * e;
        for (intptr_t c = 0; c < e; c++) partial[c] += feature * row[c];
        weight += (double)feature * z[n];
    }
    for (intptr_t c = 0; c < e; c++) y[c] += partial[c];
    *normalizer += weight;
}

POWER_CLONES
void read_state_double(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t e, const float *x, intptr_t lanes,
                       const float *S, const float *z, double *y, double *normalizer) {
    enum { group = 8 };
    for (intptr_t l0 = 0; l0 < lanes; l0 += group) {
        const float *row = S, *weight = z;
        for (intptr_t r = 0; r < run_count; r++) {
            feature_run run = runs[r];
            const uint16_t factor[3] = {run.first, run.second, run.third};
            double first[group];
            for (int l = 0; l < group; l++) first[l] = 1;
            for (int32_t i = 0; i + 1 < degree; i++)
                for (int l = 0; l < group; l++) first[l] *= x[factor[i] * TOKEN_LANES + l0 + l];
            for (intptr_t n = 0; n < run.length; n++, row += e, weight++) {
                double coefficient = n < run.head_length ? run.head_coefficient : run.tail_coefficient, phi[group];
                for (int l = 0; l < group; l++) phi[l] = coefficient * first[l] * x[(run.start + n) * TOKEN_LANES + l0 + l];
                for (int l = 0; l < group; l++) normalizer[l0 + l] += phi[l] * *weight;
                for (intptr_t c = 0; c < e; c++) {
                    double *restrict target = y + c * TOKEN_LANES + l0, value = row[c];
                    for (int l = 0; l < group; l++) target[l] += phi[l] * value;
                }
            }
        }
    }
}

POWER_CLONES
void read_state_gradient_double(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t e, const float *x,
                                intptr_t lanes, const float *S, const float *z, const float *gradient, const float *weight,
                                double *dx) {
    enum { group = 8 };
    for (intptr_t l0 = 0; l0 < lanes; l0 += group) {
        const float *row = S, *normalizer = z;
        for (intptr_t r = 0; r < run_count; r++) {
            feature_run run = runs[r];
            const uint16_t factor[3] = {run.first, run.second, run.third};
            double first[group], sum[group] = {0};
            for (int l = 0; l < group; l++) first[l] = 1;
            for (int32_t i = 0; i + 1 < degree; i++)
                for (int l = 0; l < group; l++) first[l] *= x[factor[i] * TOKEN_LANES + l0 + l];
            for (intptr_t n = 0; n < run.length; n++, row += e, normalizer++) {
                double slope[group], coefficient = n < run.head_length ? run.head_coefficient : run.tail_coefficient;
                for (int l = 0; l < group; l++) slope[l] = (double)*normalizer * weight[l0 + l];
                for (intptr_t c = 0; c < e; c++)
                    for (int l = 0; l < group; l++) slope[l] += (double)row[c] * gradient[c * TOKEN_LANES + l0 + l];
                const float *last = x + (run.start + n) * TOKEN_LANES + l0;
                double *restrict target = dx + (run.start + n) * TOKEN_LANES + l0;
                for (int l = 0; l < group; l++) {
                    slope[l] *= coefficient;
                    sum[l] += slope[l] * last[l];
                    target[l] += slope[l] * first[l];
                }
            }
            for (int32_t i = 0; i + 1 < degree; i++) {
                double others[group];
                for (int l = 0; l < group; l++) others[l] = sum[l];
                for (int32_t j = 0; j + 1 < degree; j++)
                    if (j != i)
                        for (int l = 0; l < group; l++) others[l] *= x[factor[j] * TOKEN_LANES + l0 + l];
                for (int l = 0; l < group; l++) dx[factor[i] * TOKEN_LANES + l0 + l] += others[l];
            }
        }
    }
}

POWER_CLONES
void recurrent_answer(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t e, const float *q, const float *S,
                      const float *z, float *y, double *normalizer) {
    for (intptr_t r = 0; r < run_count; r++) {
        feature_run run = runs[r];
        run_answer(run, prefix(run, degree, q), q + run.start, S, z, e, y, normalizer);
        S += run.length * e;
        z += run.length;
    }
}

POWER_CLONES
void recurrent_step(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t d, intptr_t e, intptr_t group,
                    const float *q, intptr_t q_stride, const float *k, const float *v, float decay, float *S, float *z,
                    float *y, double *normalizer) {
    for (intptr_t r = 0; r < run_count; r++) {
        feature_run run = runs[r];
        for (intptr_t head = 0; head < group; head++) {
            const float *x = q + head * q_stride;
            run_answer(run, decay * prefix(run, degree, x), x + run.start, S, z, e, y + head * e, normalizer + head);
        }
        float k_prefix = prefix(run, degree, k);
        for (intptr_t n = 0; n < run.length; n++) {
            float feature = k_prefix * k[run.start + n];
            float *restrict row = S + n * e;
            for (intptr_t c = 0; c < e; c++) row[c] = decay * row[c] + feature * v[c];
            z[n] = decay * z[n] + feature;
        }
        S += run.length * e;
        z += run.length;
    }
    for (intptr_t head = 0; head < group; head++) {
        float score = 0, weight = 1;
        for (intptr_t i = 0; i < d; i++) score += q[head * q_stride + i] * k[i];
        for (int32_t i = 0; i < degree; i++) weight *= score;
        for (intptr_t c = 0; c < e; c++) y[head * e + c] += weight * v[c];
        normalizer[head] += weight;
    }
}
