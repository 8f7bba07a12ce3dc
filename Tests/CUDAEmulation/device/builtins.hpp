// What NVRTC knows without an include: words of the language, indices, bits, memory, barriers and operations of a warp.
#pragma once
#include "fibers.hpp"
#include "mathematics.hpp"
#include "vectors.hpp"

#define __CUDACC__ 1
#define __CUDACC_RTC__ 1
#define __CUDA_ARCH__ 900
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __grid_constant__

typedef __SIZE_TYPE__ size_t;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef __INT64_TYPE__ int64_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __UINTPTR_TYPE__ uintptr_t;

#define threadIdx (emulation::self().fiber().thread)
#define blockIdx (emulation::arena().block.index)
#define blockDim (emulation::arena().block.threads)
#define gridDim (emulation::arena().block.grid)
constexpr int warpSize = 32;

namespace emulation {

template <typename To, typename From>
EMULATION_INLINE To bits(From x) {
    static_assert(sizeof(To) == sizeof(From), "bits are neither lost nor made up");
    To result;
    __builtin_memcpy(&result, &x, sizeof result);
    return result;
}

}  // namespace emulation

static inline float __int_as_float(int x) { return emulation::bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return emulation::bits<float>(x); }
static inline int __float_as_int(float x) { return emulation::bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return emulation::bits<unsigned>(x); }
static inline double __longlong_as_double(long long x) { return emulation::bits<double>(x); }
static inline long long __double_as_longlong(double x) { return emulation::bits<long long>(x); }
static inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline unsigned __brev(unsigned x) {
    unsigned result = 0;
    for (int n = 0; n < 32; ++n) result |= (x >> n & 1) << (31 - n);
    return result;
}
static inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<unsigned long long>(x) * y >> 32; }
static inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
static inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
static inline int __float2int_ru(float x) { return static_cast<int>(ceilf(x)); }
static inline float __int2float_rn(int x) { return static_cast<float>(x); }

// The offset in the block's shared memory.
static inline size_t __cvta_generic_to_shared(const void *pointer) {
    return static_cast<const unsigned char *>(pointer) - emulation::arena().block.shared;
}

// Byte n of the result is the byte of y:x that the low three bits of nibble n choose.
static inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    const unsigned long long bytes = x | static_cast<unsigned long long>(y) << 32;
    unsigned result = 0;
    for (int n = 0; n < 4; ++n) result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * n & 7) & 0xff) << 8 * n;
    return result;
}

template <typename T>
static inline T __ldg(const T *pointer) { return *pointer; }
template <typename T>
static inline T __ldcg(const T *pointer) { return *pointer; }
template <typename T>
static inline T __ldcs(const T *pointer) { return *pointer; }
template <typename T>
static inline T __ldca(const T *pointer) { return *pointer; }
template <typename T, typename U>
static inline void __stcg(T *pointer, U value) { *pointer = value; }
template <typename T, typename U>
static inline void __stcs(T *pointer, U value) { *pointer = value; }
template <typename T, typename U>
static inline void __stwt(T *pointer, U value) { *pointer = value; }

static inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

static inline void __syncthreads() { emulation::barrier(0, 0); }
static inline int __syncthreads_or(int predicate) { return emulation::barrier(predicate, 0); }
static inline int __syncthreads_and(int predicate) { return emulation::barrier(predicate, 1); }
static inline int __syncthreads_count(int predicate) { return emulation::barrier(predicate, 2); }

[[noreturn]] static inline void __trap() { emulation::fail("the kernel trapped"); }

#include "atomics.hpp"
#include "kernels.hpp"
#include "warps.hpp"
