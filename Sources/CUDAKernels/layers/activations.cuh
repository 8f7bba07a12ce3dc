// The numbers of activations (ACTIVATION 0: float32, 2: bfloat16), read and written VECTOR at a time: one, or 16 bytes of them.
#pragma once
#include "common/ptx.cuh"

static_assert(ACTIVATION == 0 || ACTIVATION == 2, "ACTIVATION is 0 or 2");

#if ACTIVATION == 0
typedef float activation;
#else
typedef unsigned short activation;
#endif

static_assert(VECTOR == 1 || VECTOR * sizeof(activation) == 16, "one number, or 16 bytes");

__device__ __forceinline__ float to_float(activation x) {
#if ACTIVATION == 0
    return x;
#else
    return __uint_as_float(static_cast<unsigned>(x) << 16);
#endif
}

__device__ __forceinline__ activation to_activation(float x) {
#if ACTIVATION == 0
    return x;
#else
    return pack_bfloat16(x, 0) & 0xffff;
#endif
}

// Blocks from the last to the first. What a product has just written last, the second-level cache still has: whoever reads rows after it begins
// there, and leaves the first rows there for the product that comes next.
__device__ __forceinline__ unsigned descending_block() { return gridDim.x - 1 - blockIdx.x; }

// VECTOR numbers as they are in memory.
#if VECTOR == 1
typedef activation packed;
#else
typedef uint4 packed;
#endif

__device__ __forceinline__ packed load_packed(const activation *place) { return *reinterpret_cast<const packed *>(place); }

__device__ __forceinline__ void unpack(float (&x)[VECTOR], packed group) {
#if VECTOR == 1
    x[0] = to_float(group);
#else
    const unsigned words[4] = {group.x, group.y, group.z, group.w};
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#if ACTIVATION == 0
        x[n] = __uint_as_float(words[n]);
#else
        x[2 * n] = __uint_as_float(words[n] << 16);
        x[2 * n + 1] = __uint_as_float(words[n] & 0xffff0000u);
#endif
    }
#endif
}

__device__ __forceinline__ void load(float (&x)[VECTOR], const activation *place) { unpack(x, load_packed(place)); }

__device__ __forceinline__ void store(activation *place, const float (&x)[VECTOR]) {
#if VECTOR == 1
    *place = to_activation(x[0]);
#elif ACTIVATION == 0
    *reinterpret_cast<float4 *>(place) = make_float4(x[0], x[1], x[2], x[3]);
#else
    *reinterpret_cast<uint4 *>(place) =
        make_uint4(pack_bfloat16(x[0], x[1]), pack_bfloat16(x[2], x[3]), pack_bfloat16(x[4], x[5]), pack_bfloat16(x[6], x[7]));
#endif
}

// The same for float32 beside activations: weights of norms, gradients of parameters.
__device__ __forceinline__ void load_floats(float (&x)[VECTOR], const float *place) {
#if VECTOR == 1
    x[0] = *place;
#else
#pragma unroll
    for (int n = 0; n < VECTOR / 4; ++n) {
        const float4 group = reinterpret_cast<const float4 *>(place)[n];
        x[4 * n] = group.x, x[4 * n + 1] = group.y, x[4 * n + 2] = group.z, x[4 * n + 3] = group.w;
    }
#endif
}

__device__ __forceinline__ void store_floats(float *place, const float (&x)[VECTOR]) {
#if VECTOR == 1
    *place = x[0];
#else
#pragma unroll
    for (int n = 0; n < VECTOR / 4; ++n)
        reinterpret_cast<float4 *>(place)[n] = make_float4(x[4 * n], x[4 * n + 1], x[4 * n + 2], x[4 * n + 3]);
#endif
}
