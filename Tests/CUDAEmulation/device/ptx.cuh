// The functions of common/ptx.cuh for warps of fibers.
#pragma once

namespace emulation {

EMULATION_INLINE void requireAligned(const void *pointer, const char *message) {
    if (reinterpret_cast<u64>(pointer) % 16 != 0) fail(message);
}

typedef double Row __attribute__((vector_size(64)));

// 16 rows of 8: out = c + a · b, rounded once.
template <int depth>
EMULATION_INLINE void product(Warp &warp) {
    const auto &in = warp.in.single;
    Row columns[depth];
    for (int k = 0; k < depth; ++k)
        for (int n = 0; n < 8; ++n) columns[k][n] = in.b[k][n];
    for (int m = 0; m < 16; ++m) {
        Row sum;
        for (int n = 0; n < 8; ++n) sum[n] = in.c[m][n];
        for (int k = 0; k < depth; ++k) sum += columns[k] * static_cast<double>(in.a[m][k]);
        for (int n = 0; n < 8; ++n) warp.out.single[m][n] = static_cast<float>(sum[n]);
    }
}

EMULATION_INLINE void giveSums(Warp &warp, u32 lane, const float *c) {
    const u32 g = lane / 4, t = lane % 4;
    __builtin_memcpy(&warp.in.single.c[g][2 * t], c, 8);
    __builtin_memcpy(&warp.in.single.c[g + 8][2 * t], c + 2, 8);
}

EMULATION_INLINE void takeSums(const Warp &warp, u32 lane, float *c) {
    const u32 g = lane / 4, t = lane % 4;
    __builtin_memcpy(c, &warp.out.single[g][2 * t], 8);
    __builtin_memcpy(c + 2, &warp.out.single[g + 8][2 * t], 8);
}

// Every lane of the first `count` eights gives the address of a row of 8 numbers of 16 bits; lane 4g + t takes numbers 2t, 2t + 1
// of row g, or rows 2t, 2t + 1 of column g, of each matrix.
template <int count, bool isTransposed>
EMULATION_INLINE void loadMatrices(const char *operation, unsigned *r, const void *address) {
    Fiber &fiber = self();
    if (fiber.lane < 8 * count) requireAligned(address, "ldmatrix from an address that is no multiple of 16");
    fiber.warp->in.addresses[fiber.lane] = static_cast<const unsigned char *>(address);
    meet(fiber, operation, ~0u, [](Warp &warp) {
        for (int m = 0; m < count; ++m) {
            unsigned short matrix[8][8];
            for (int row = 0; row < 8; ++row) __builtin_memcpy(matrix[row], warp.in.addresses[8 * m + row], 16);
            for (int lane = 0; lane < 32; ++lane) {
                const int g = lane / 4, t = lane % 4;
                const unsigned low = isTransposed ? matrix[2 * t][g] : matrix[g][2 * t];
                const unsigned high = isTransposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
                warp.out.registers[m][lane] = low | high << 16;
            }
        }
    });
    for (int m = 0; m < count; ++m) r[m] = fiber.warp->out.registers[m][fiber.lane];
}

EMULATION_NOINLINE void completeCopies(CopyQueue &queue, u32 pending) {
    while (queue.groupCount > pending) {
        const u32 end = queue.groupEnds[0];
        for (; queue.first < end; ++queue.first) {
            const Copy &copy = queue.items[queue.first];
            __builtin_memcpy(copy.destination, copy.bytes, 16);
        }
        --queue.groupCount;
        __builtin_memmove(queue.groupEnds, queue.groupEnds + 1, queue.groupCount * sizeof(u32));
    }
    if (queue.first == queue.count) queue.first = queue.count = 0;
}

}  // namespace emulation

static inline unsigned shared_address(const void *pointer) { return static_cast<unsigned>(__cvta_generic_to_shared(pointer)); }

namespace emulation {

EMULATION_INLINE unsigned roundToBfloat16(float x) {
    const u32 word = bits<u32>(x);
    if ((word & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (word + 0x7fff + (word >> 16 & 1)) >> 16;
}

}  // namespace emulation

static inline unsigned pack_bfloat16(float low, float high) {
    return emulation::roundToBfloat16(low) | emulation::roundToBfloat16(high) << 16;
}

static inline float float16_to_float(unsigned short x) {
    const unsigned sign = (x & 0x8000u) << 16, exponent = x >> 10 & 31, fraction = x & 0x3ff;
    if (exponent == 31) return __uint_as_float(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) return __uint_as_float(sign | __float_as_uint(static_cast<float>(fraction) * 0x1p-24f));
    return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline unsigned short float_to_float16(float x) {
    const unsigned word = __float_as_uint(x), sign = word >> 16 & 0x8000, magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) return 0x7fff;
    if (magnitude >= 0x477ff000) return static_cast<unsigned short>(sign | 0x7c00);
    // Adding half a unit of the last place that is kept rounds to the nearest even number.
    if (magnitude < 0x38800000) {
        const float rounded = __uint_as_float(magnitude) + 0.5f;
        return static_cast<unsigned short>(sign | (__float_as_uint(rounded) - __float_as_uint(0.5f)));
    }
    return static_cast<unsigned short>(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

static inline unsigned round_to_tf32(float x) {
    const unsigned word = __float_as_uint(x), magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) return 0x7fffffff;
    return (word + 0x1000) & 0xffffe000;
}

EMULATION_NOINLINE void mma_bfloat16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    using namespace emulation;
    Fiber &fiber = self();
    Warp &warp = *fiber.warp;
    const u32 g = fiber.lane / 4, t = fiber.lane % 4;
    auto &in = warp.in.single;
    for (int n = 0; n < 4; ++n) {
        float *place = &in.a[g + n % 2 * 8][2 * t + n / 2 * 8];
        place[0] = __uint_as_float(a[n] << 16);
        place[1] = __uint_as_float(a[n] & 0xffff0000);
    }
    for (int n = 0; n < 2; ++n) {
        in.b[2 * t + 8 * n][g] = __uint_as_float(b[n] << 16);
        in.b[2 * t + 8 * n + 1][g] = __uint_as_float(b[n] & 0xffff0000);
    }
    giveSums(warp, fiber.lane, c);
    meet(fiber, "mma_bfloat16", ~0u, product<16>);
    takeSums(warp, fiber.lane, c);
}

// Bits of the operands below TF32 are ignored, as by the card.
EMULATION_NOINLINE void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    using namespace emulation;
    Fiber &fiber = self();
    Warp &warp = *fiber.warp;
    const u32 g = fiber.lane / 4, t = fiber.lane % 4;
    auto &in = warp.in.single;
    for (int n = 0; n < 4; ++n) in.a[g + n % 2 * 8][t + n / 2 * 4] = __uint_as_float(a[n] & 0xffffe000);
    for (int n = 0; n < 2; ++n) in.b[t + 4 * n][g] = __uint_as_float(b[n] & 0xffffe000);
    giveSums(warp, fiber.lane, c);
    meet(fiber, "mma_tf32", ~0u, product<8>);
    takeSums(warp, fiber.lane, c);
}

EMULATION_NOINLINE void mma_float64(double &c0, double &c1, double a, double b) {
    using namespace emulation;
    Fiber &fiber = self();
    Warp &warp = *fiber.warp;
    const u32 g = fiber.lane / 4, t = fiber.lane % 4;
    auto &in = warp.in.twice;
    in.a[g][t] = a;
    in.b[t][g] = b;
    in.c[g][2 * t] = c0;
    in.c[g][2 * t + 1] = c1;
    meet(fiber, "mma_float64", ~0u, [](Warp &warp) {
        const auto &in = warp.in.twice;
        for (int m = 0; m < 8; ++m) {
            Row sum;
            for (int n = 0; n < 8; ++n) sum[n] = in.c[m][n];
            for (int k = 0; k < 4; ++k)
                for (int n = 0; n < 8; ++n) sum[n] = __builtin_fma(in.a[m][k], in.b[k][n], sum[n]);
            for (int n = 0; n < 8; ++n) warp.out.twice[m][n] = sum[n];
        }
    });
    c0 = warp.out.twice[g][2 * t];
    c1 = warp.out.twice[g][2 * t + 1];
}

EMULATION_NOINLINE void load_matrices(unsigned (&r)[4], const void *address) {
    emulation::loadMatrices<4, false>("load_matrices", r, address);
}

EMULATION_NOINLINE void load_matrices_transposed(unsigned (&r)[4], const void *address) {
    emulation::loadMatrices<4, true>("load_matrices_transposed", r, address);
}

EMULATION_NOINLINE void load_two_matrices_transposed(unsigned (&r)[2], const void *address) {
    emulation::loadMatrices<2, true>("load_two_matrices_transposed", r, address);
}

// The bytes arrive at the wait for their group; until then the destination holds NaN.
EMULATION_NOINLINE void copy_16(void *shared, const void *global, bool valid) {
    using namespace emulation;
    requireAligned(shared, "cp.async to an address that is no multiple of 16");
    requireAligned(global, "cp.async from an address that is no multiple of 16");
    CopyQueue &queue = self().copies;
    if (queue.count == queue.capacity) {
        queue.capacity = queue.capacity == 0 ? 64 : 2 * queue.capacity;
        queue.items = static_cast<Copy *>(__builtin_realloc(queue.items, queue.capacity * sizeof(Copy)));
    }
    Copy &copy = queue.items[queue.count++];
    copy.destination = static_cast<unsigned char *>(shared);
    if (valid) {
        __builtin_memcpy(copy.bytes, global, 16);
    } else {
        __builtin_memset(copy.bytes, 0, 16);
    }
    __builtin_memset(shared, 0xff, 16);
}

static inline void commit_copies() {
    emulation::CopyQueue &queue = emulation::self().copies;
    if (queue.groupCount == 32) emulation::completeCopies(queue, 31);
    queue.groupEnds[queue.groupCount++] = queue.count;
}

template <int pending>
static inline void wait_copies() {
    emulation::completeCopies(emulation::self().copies, pending);
}
