#include "convert.h"
#include "simd.h"
#include <string.h>

static inline uint32_t float_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float bits_float(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/// Rounds a double to a float such that rounding once more to a 16-bit type gives the correctly rounded result: truncation
/// with the lost part kept in the last bit ("round to odd").
static inline float narrow_to_odd(double d) {
    float f = (float)d;
    if (d != d || (double)f == d) return f;
    uint32_t u = float_bits(f);
    double magnitude_f = f < 0 ? -(double)f : (double)f, magnitude_d = d < 0 ? -d : d;
    if (magnitude_f > magnitude_d) u -= 1;
    return bits_float(u | 1);
}

static inline uint16_t float_to_bfloat16(float x) {
    uint32_t u = float_bits(x);
    if (x != x) return (uint16_t)((u >> 16) | 0x40);
    return (uint16_t)((u + 0x7FFF + ((u >> 16) & 1)) >> 16);
}

static inline float bfloat16_to_float(uint16_t h) { return bits_float((uint32_t)h << 16); }

static inline uint16_t float_to_half(float x) {
    uint32_t u = float_bits(x);
    uint32_t sign = (u >> 16) & 0x8000, magnitude = u & 0x7FFFFFFF;
    uint32_t result;
    if (magnitude >= 0x47800000) {
        result = magnitude > 0x7F800000 ? 0x7E00 : 0x7C00;
    } else if (magnitude < 0x38800000) {
        // Adding one half places the subnormal's last bit at the last bit of the sum: the addition rounds.
        result = float_bits(bits_float(magnitude) + 0.5f) - 0x3F000000;
    } else {
        result = (magnitude - 0x38000000 + 0xFFF + ((magnitude >> 13) & 1)) >> 13;
    }
    return (uint16_t)(result | sign);
}

static inline float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7FFF;
    if (magnitude >= 0x7C00) return bits_float(sign | 0x7F800000 | ((magnitude & 0x3FF) << 13));
    // The half's bits read as a float of tiny exponent, scaled by 2^112: subnormals come out normal.
    return bits_float(sign | float_bits(bits_float(magnitude << 13) * 0x1p112f));
}

static inline uint16_t double_to_half(double d) { return float_to_half(narrow_to_odd(d)); }
static inline uint16_t double_to_bfloat16(double d) { return float_to_bfloat16(narrow_to_odd(d)); }

#define IDENTITY(x) (x)
#define CONVERTER(name, From, To, expression)                                                                                  \
    POWER_CLONES static void name(const From *restrict source, To *restrict destination, intptr_t count) {                      \
        for (intptr_t i = 0; i < count; i++) destination[i] = (To)expression(source[i]);                                        \
    }

CONVERTER(double_float, double, float, IDENTITY)
CONVERTER(double_half, double, uint16_t, double_to_half)
CONVERTER(double_bfloat16, double, uint16_t, double_to_bfloat16)
CONVERTER(float_double, float, double, IDENTITY)
CONVERTER(float_half, float, uint16_t, float_to_half)
CONVERTER(float_bfloat16, float, uint16_t, float_to_bfloat16)
CONVERTER(half_float, uint16_t, float, half_to_float)
CONVERTER(half_double, uint16_t, double, half_to_float)
CONVERTER(bfloat16_float, uint16_t, float, bfloat16_to_float)
CONVERTER(bfloat16_double, uint16_t, double, bfloat16_to_float)

static inline uint16_t half_as_bfloat16(uint16_t h) { return float_to_bfloat16(half_to_float(h)); }
static inline uint16_t bfloat16_as_half(uint16_t h) { return float_to_half(bfloat16_to_float(h)); }
CONVERTER(half_bfloat16, uint16_t, uint16_t, half_as_bfloat16)
CONVERTER(bfloat16_half, uint16_t, uint16_t, bfloat16_as_half)

void convert_elements(const void *source, int32_t source_type, void *destination, int32_t destination_type, intptr_t count) {
    static const intptr_t size[4] = {8, 4, 2, 2};
    if (source_type == destination_type) {
        memcpy(destination, source, (size_t)(count * size[source_type]));
        return;
    }
    switch (source_type * 4 + destination_type) {
    case 1: double_float(source, destination, count); break;
    case 2: double_half(source, destination, count); break;
    case 3: double_bfloat16(source, destination, count); break;
    case 4: float_double(source, destination, count); break;
    case 6: float_half(source, destination, count); break;
    case 7: float_bfloat16(source, destination, count); break;
    case 8: half_double(source, destination, count); break;
    case 9: half_float(source, destination, count); break;
    case 11: half_bfloat16(source, destination, count); break;
    case 12: bfloat16_double(source, destination, count); break;
    case 13: bfloat16_float(source, destination, count); break;
    case 14: bfloat16_half(source, destination, count); break;
    }
}
