#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

/// Elementary functions without branches or calls, so that loops over them vectorize.

/// e^x within 1.01 ulp where the result is a normal number; 0 below −104, infinity above 88.73, NaN for NaN.
static inline float exp_real_float(float x) {
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    // Adding 1.5·2^23 leaves n = round(x / ln 2) in the last bits of the sum. ln 2 is cut in two so that n times its first
    // part is exact.
    float shifted = x * 0x1.715476p+0f + 0x1.8p+23f;
    float n = shifted - 0x1.8p+23f;
    float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    float tail = 0x1.6a2434p-10f;
    tail = tail * r + 0x1.1239e2p-7f;
    tail = tail * r + 0x1.5558f2p-5f;
    tail = tail * r + 0x1.555492p-3f;
    tail = tail * r + 0x1.fffffcp-2f;
    float power = tail * (r * r) + r + 1.0f;
    // 2^n in two factors: n reaches from −150, where the result is subnormal, to 128, where it overflows.
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    int32_t exponent = (int32_t)(bits - 0x4B400000u), half = exponent >> 1;
    uint32_t first_bits = (uint32_t)(half + 127) << 23, second_bits = (uint32_t)(exponent - half + 127) << 23;
    float first, second;
    memcpy(&first, &first_bits, sizeof first);
    memcpy(&second, &second_bits, sizeof second);
    return power * first * second;
}

/// log(1 + u) for 0 ≤ u ≤ 1, within 2 ulp: 2·atanh(s) with s = u / (2 + u).
static inline float log1p_real_float(float u) {
    float s = u / (2.0f + u), z = s * s;
    float tail = 0x1.f1b298p-4f;
    tail = tail * z + 0x1.b6d5bcp-4f;
    tail = tail * z + 0x1.25097cp-3f;
    tail = tail * z + 0x1.9996a8p-3f;
    tail = tail * z + 0x1.555558p-2f;
    return 2.0f * s + 2.0f * s * z * tail;
}

static inline double exp_real_double(double x) { return exp(x); }
static inline double log1p_real_double(double u) { return log1p(u); }
