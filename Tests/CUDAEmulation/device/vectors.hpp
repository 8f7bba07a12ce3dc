// Vector types of CUDA, and what they are made with. Their copies are functions, for the compiler's check of alignment sees those.
#pragma once

#define EMULATION_VECTOR2(type, number, bytes)                                      \
    struct alignas(bytes) type {                                                    \
        number x, y;                                                                \
        type() = default;                                                           \
        constexpr type(number x, number y) : x(x), y(y) {}                          \
        constexpr type(const type &other) : x(other.x), y(other.y) {}               \
        type &operator=(const type &other) {                                        \
            x = other.x, y = other.y;                                               \
            return *this;                                                           \
        }                                                                           \
    };                                                                              \
    static inline type make_##type(number x, number y) { return {x, y}; }
#define EMULATION_VECTOR3(type, number)                                             \
    struct type {                                                                   \
        number x, y, z;                                                             \
    };                                                                              \
    static inline type make_##type(number x, number y, number z) { return {x, y, z}; }
#define EMULATION_VECTOR4(type, number, bytes)                                      \
    struct alignas(bytes) type {                                                    \
        number x, y, z, w;                                                          \
        type() = default;                                                           \
        constexpr type(number x, number y, number z, number w) : x(x), y(y), z(z), w(w) {} \
        constexpr type(const type &other) : x(other.x), y(other.y), z(other.z), w(other.w) {} \
        type &operator=(const type &other) {                                        \
            x = other.x, y = other.y, z = other.z, w = other.w;                     \
            return *this;                                                           \
        }                                                                           \
    };                                                                              \
    static inline type make_##type(number x, number y, number z, number w) { return {x, y, z, w}; }

EMULATION_VECTOR2(char2, signed char, 2)
EMULATION_VECTOR2(uchar2, unsigned char, 2)
EMULATION_VECTOR2(short2, short, 4)
EMULATION_VECTOR2(ushort2, unsigned short, 4)
EMULATION_VECTOR2(int2, int, 8)
EMULATION_VECTOR2(uint2, unsigned, 8)
EMULATION_VECTOR2(float2, float, 8)
EMULATION_VECTOR2(double2, double, 16)
EMULATION_VECTOR2(longlong2, long long, 16)
EMULATION_VECTOR2(ulonglong2, unsigned long long, 16)
EMULATION_VECTOR3(int3, int)
EMULATION_VECTOR3(uint3, unsigned)
EMULATION_VECTOR3(float3, float)
EMULATION_VECTOR3(double3, double)
EMULATION_VECTOR4(char4, signed char, 4)
EMULATION_VECTOR4(uchar4, unsigned char, 4)
EMULATION_VECTOR4(short4, short, 8)
EMULATION_VECTOR4(ushort4, unsigned short, 8)
EMULATION_VECTOR4(int4, int, 16)
EMULATION_VECTOR4(uint4, unsigned, 16)
EMULATION_VECTOR4(float4, float, 16)
EMULATION_VECTOR4(double4, double, 16)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#undef EMULATION_VECTOR2
#undef EMULATION_VECTOR3
#undef EMULATION_VECTOR4
