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
                                                             float *restrict y, float *normalizer) {
    float partial[256], weight = 0;
    memset(partial, 0, (size_t)e * sizeof *partial);
    for (intptr_t n = 0; n < run.length; n++) {
        float coefficient = n < run.head_length ? run.head_coefficient : run.tail_coefficient;
        float feature = coefficient * q_prefix * q[n];
        const float *restrict row = S + n * e;
        for (intptr_t c = 0; c < e; c++) partial[c] += feature * row[c];
        weight += feature * z[n];
    }
    for (intptr_t c = 0; c < e; c++) y[c] += partial[c];
    *normalizer += weight;
}

POWER_CLONES
void recurrent_answer(const feature_run *runs, intptr_t run_count, int32_t degree, intptr_t e, const float *q, const float *S,
                      const float *z, float *y, float *normalizer) {
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
                    float *y, float *normalizer) {
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
