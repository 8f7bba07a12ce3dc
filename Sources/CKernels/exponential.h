#pragma once
#include <stdint.h>
#include <string.h>

/// exp(x) without branches, for loops that the compiler vectorizes: below −87.3 it is 0, above 88.7 it saturates; the error is
/// below 2 units in the last place elsewhere. Argument reduction by ln 2 in two parts, then a polynomial (Cephes `expf`).
static inline float lane_exp(float x) {
    float bounded = x < -87.3f ? -87.3f : x;
    bounded = bounded > 88.7f ? 88.7f : bounded;
    // Adding 1.5·2^23 rounds to an integer and leaves it in the low bits.
    float shifted = bounded * 1.44269504088896341f + 12582912.0f;
    float n = shifted - 12582912.0f;
    float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4B400000u + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return x < -87.3f ? 0.0f : y * power;
}
