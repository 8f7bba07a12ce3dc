// Powers of two that queries and keys are divided by, because the p-th power leaves the range of float32 before its argument does.
#pragma once

// Stands for no number other than zero.
constexpr int NO_EXPONENT = -0x7f7f7f80;

// Exponents of ordinary magnitudes, between 2^−6 and 2^7: nothing is divided by those.
constexpr int LEAST_ORDINARY = -6, LARGEST_ORDINARY = 6;

// The exponent of a magnitude: 0 where it is ordinary or not finite.
__device__ __forceinline__ int magnitude_exponent(float magnitude) {
    if (magnitude == 0) return NO_EXPONENT;
    const int exponent = static_cast<int>(__float_as_uint(magnitude) >> 23 & 0xff) - 127;
    if (exponent == 128 || (exponent >= LEAST_ORDINARY && exponent <= LARGEST_ORDINARY)) return 0;
    // 2^119 times the largest ordinary number is still a float32.
    return max(exponent, -119);
}

__device__ __forceinline__ int exponent_or_zero(int exponent) { return exponent == NO_EXPONENT ? 0 : exponent; }

// The rows of a kind, queries 0 or keys 1, as kernels multiply them: as they were given, or copies divided by powers of two where a row of
// that kind has an exponent. Without flags all are as given.
template <typename Element>
__device__ __forceinline__ const Element *choose_rows(const Element *given, const Element *scaled, const int *isScaled, int kind) {
    return isScaled != nullptr && isScaled[kind] > 0 ? scaled : given;
}

// 2^n, saturating at the ends of the range.
__device__ __forceinline__ float power_of_two(int n) { return ldexpf(1, max(-160, min(127, n))); }
