#include "attention.h"
#include "simd.h"
#include <string.h>

enum { L = TOKEN_LANES };

/// The product of the first `degree − 1` factors of a run for 64 tokens.
static inline void run_prefix(feature_run run, int32_t degree, const float *restrict x, intptr_t ldx, float *restrict prefix) {
    const float *a = x + run.first * ldx, *b = x + run.second * ldx, *c = x + run.third * ldx;
    switch (degree) {
    case 1:
        for (int l = 0; l < L; l++) prefix[l] = 1;
        break;
    case 2:
        for (int l = 0; l < L; l++) prefix[l] = a[l];
        break;
    case 3:
        for (int l = 0; l < L; l++) prefix[l] = a[l] * b[l];
        break;
    default:
        for (int l = 0; l < L; l++) prefix[l] = a[l] * b[l] * c[l];
    }
}

POWER_CLONES
void expand_features(const feature_run *runs, feature_position position, intptr_t count, int32_t degree, const float *x,
                     intptr_t ldx, intptr_t lanes, int32_t weighted, float *phi, intptr_t ld) {
    for (intptr_t lane = 0; lane < lanes; lane += L) {
        const feature_run *run = runs + position.run;
        intptr_t offset = position.offset;
        for (intptr_t done = 0; done < count; run++, offset = 0) {
            float prefix[L], head[L];
            run_prefix(*run, degree, x + lane, ldx, prefix);
            if (weighted) {
                float head_coefficient = run->head_coefficient, tail_coefficient = run->tail_coefficient;
                for (int l = 0; l < L; l++) {
                    head[l] = prefix[l] * head_coefficient;
                    prefix[l] *= tail_coefficient;
                }
            }
            intptr_t end = run->length < offset + count - done ? run->length : offset + count - done;
            for (intptr_t n = offset; n < end; n++, done++) {
                const float *factor = weighted && n < run->head_length ? head : prefix;
                const float *restrict last = x + (run->start + n) * ldx + lane;
                float *restrict out = phi + done * ld + lane;
                for (int l = 0; l < L; l++) out[l] = factor[l] * last[l];
            }
        }
    }
}

POWER_CLONES
void contract_features(const feature_run *runs, feature_position position, intptr_t count, int32_t degree, const float *x,
                       const float *dphi, int32_t weighted, float *dx) {
    const feature_run *run = runs + position.run;
    intptr_t offset = position.offset;
    for (intptr_t done = 0; done < count; run++, offset = 0) {
        float prefix[L], sum[L] = {0};
        run_prefix(*run, degree, x, L, prefix);
        intptr_t end = run->length < offset + count - done ? run->length : offset + count - done;
        for (intptr_t n = offset; n < end; n++, done++) {
            float coefficient = !weighted ? 1 : n < run->head_length ? run->head_coefficient : run->tail_coefficient;
            const float *restrict gradient = dphi + done * L;
            const float *restrict last = x + (run->start + n) * L;
            float *restrict target = dx + (run->start + n) * L;
            for (int l = 0; l < L; l++) {
                float g = gradient[l] * coefficient;
                sum[l] += g * last[l];
                target[l] += g * prefix[l];
            }
        }
        const float *a = x + run->first * L, *b = x + run->second * L, *c = x + run->third * L;
        float *da = dx + run->first * L, *db = dx + run->second * L, *dc = dx + run->third * L;
        if (degree == 2)
            for (int l = 0; l < L; l++) da[l] += sum[l];
        if (degree == 3) {
            for (int l = 0; l < L; l++) da[l] += sum[l] * b[l];
            for (int l = 0; l < L; l++) db[l] += sum[l] * a[l];
        }
        if (degree == 4) {
            for (int l = 0; l < L; l++) da[l] += sum[l] * b[l] * c[l];
            for (int l = 0; l < L; l++) db[l] += sum[l] * a[l] * c[l];
            for (int l = 0; l < L; l++) dc[l] += sum[l] * a[l] * b[l];
        }
    }
}
