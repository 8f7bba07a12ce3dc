// The functions of common/ptx.cuh for warps of fibers.
#pragma once

namespace emulation {

EMULATION_INLINE void requireAligned(const void *pointer, const char *message) {
    if (reinterpret_cast<u64>(pointer) % 16 != 0) fail(message);
}

typedef u32 Words4 __attribute__((vector_size(16)));
typedef float Floats4 __attribute__((vector_size(16)));
typedef double Doubles4 __attribute__((vector_size(32)));

template <typename Vector, typename Element>
EMULATION_INLINE Vector load4(const Element *elements) {
    Vector result;
    __builtin_memcpy(&result, elements, sizeof result);
    return result;
}

EMULATION_INLINE Doubles4 widen(Words4 words) { return __builtin_convertvector(bits<Floats4>(words), Doubles4); }

// Two rows of 8: sums += factors · columns.
template <int depth>
EMULATION_INLINE void multiplyRows(
    Doubles4 (&sums)[2][2], const double *upper, const double *lower, const Doubles4 (&columns)[depth][2]
) {
    Doubles4 a = sums[0][0], b = sums[0][1], c = sums[1][0], d = sums[1][1];
    for (int k = 0; k < depth; ++k) {
        a += columns[k][0] * upper[k];
        b += columns[k][1] * upper[k];
        c += columns[k][0] * lower[k];
        d += columns[k][1] * lower[k];
    }
    sums[0][0] = a, sums[0][1] = b, sums[1][0] = c, sums[1][1] = d;
}

// 16 rows of 8: out = c + a · b, rounded once. Words hold two factors each, or one.
template <bool arePairs>
EMULATION_NOINLINE void product(Warp &warp) {
    const auto &in = warp.in.single;
    // All low halves of pairs, then all high ones: in float64 the order of the sum hardly matters.
    constexpr int depth = arePairs ? 16 : 8;
    Doubles4 columns[depth][2];
    for (int k = 0; k < 8; ++k)
        for (int half = 0; half < 2; ++half) {
            const Words4 words = load4<Words4>(in.b[k / 4] + k % 4 * 8 + 4 * half);
            columns[k][half] = widen(arePairs ? words << 16 : words);
            if (arePairs) columns[(k + 8) % depth][half] = widen(words & 0xffff0000);
        }
    for (int row = 0; row < 8; ++row) {
        Doubles4 factors[2][4], sums[2][2];
        for (int m = 0; m < 2; ++m)
            for (int half = 0; half < 2; ++half) {
                const Words4 words = load4<Words4>(in.a[m + 2 * half] + 4 * row);
                factors[m][half] = widen(arePairs ? words << 16 : words);
                if (arePairs) factors[m][half + 2] = widen(words & 0xffff0000);
                sums[m][half] = __builtin_convertvector(load4<Floats4>(in.c[m] + 8 * row + 4 * half), Doubles4);
            }
        multiplyRows(sums, reinterpret_cast<const double *>(factors[0]), reinterpret_cast<const double *>(factors[1]), columns);
        for (int m = 0; m < 2; ++m)
            for (int half = 0; half < 2; ++half) {
                const Floats4 rounded = __builtin_convertvector(sums[m][half], Floats4);
                __builtin_memcpy(warp.out.single[m] + 8 * row + 4 * half, &rounded, sizeof rounded);
            }
    }
}

// 8 rows of 8 over 4 terms.
EMULATION_NOINLINE void productOfDoubles(Warp &warp) {
    const auto &in = warp.in.twice;
    Doubles4 columns[4][2];
    __builtin_memcpy(columns, in.b, sizeof columns);
    for (int row = 0; row < 8; row += 2) {
        Doubles4 sums[2][2];
        __builtin_memcpy(sums, in.c + 8 * row, sizeof sums);
        multiplyRows(sums, in.a + 4 * row, in.a + 4 * row + 4, columns);
        __builtin_memcpy(warp.out.twice + 8 * row, sums, sizeof sums);
    }
}

// Fragments of products of 16 × 8 numbers: lane 4g + t holds columns 2t, 2t + 1 of rows g and g + 8 of the sums, word t of the rows of
// a, and word t of column g of b.
template <bool arePairs>
EMULATION_INLINE void multiplyFragments(const char *operation, float *c, const unsigned *a, const unsigned *b) {
    const Self me = self();
    Warp &warp = me.warp();
    const u32 lane = me.lane();
    auto &in = warp.in.single;
    // Bits below TF32 are ignored, as by the card.
    constexpr u32 used = arePairs ? ~0u : 0xffffe000;
    for (int n = 0; n < 4; ++n) in.a[n][lane] = a[n] & used;
    for (int n = 0; n < 2; ++n) in.b[n][lane % 4 * 8 + lane / 4] = b[n] & used;
    for (int n = 0; n < 2; ++n) __builtin_memcpy(in.c[n] + 2 * lane, c + 2 * n, 8);
    meet(me, operation, ~0u, product<arePairs>);
    for (int n = 0; n < 2; ++n) __builtin_memcpy(c + 2 * n, warp.out.single[n] + 2 * lane, 8);
}

// Every lane of the first `count` eights gives the address of a row of 8 numbers of 16 bits; lane 4g + t takes numbers 2t, 2t + 1
// of row g, or rows 2t, 2t + 1 of column g, of each matrix.
template <int count, bool isTransposed>
EMULATION_INLINE void loadMatrices(const char *operation, unsigned *r, const void *address) {
    const Self me = self();
    if (me.lane() < 8 * count) requireAligned(address, "ldmatrix from an address that is no multiple of 16");
    me.warp().in.addresses[me.lane()] = static_cast<const unsigned char *>(address);
    meet(me, operation, ~0u, [](Warp &warp) {
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
    for (int m = 0; m < count; ++m) r[m] = me.warp().out.registers[m][me.lane()];
}

// The same matrices in the other direction.
EMULATION_INLINE void storeMatrices(const char *operation, const unsigned *r, void *address) {
    const Self me = self();
    requireAligned(address, "stmatrix to an address that is no multiple of 16");
    auto &in = me.warp().in.stored;
    in.addresses[me.lane()] = static_cast<unsigned char *>(address);
    for (int m = 0; m < 4; ++m) in.registers[m][me.lane()] = r[m];
    meet(me, operation, ~0u, [](Warp &warp) {
        const auto &in = warp.in.stored;
        for (int m = 0; m < 4; ++m)
            for (int lane = 0; lane < 32; ++lane)
                __builtin_memcpy(in.addresses[8 * m + lane / 4] + 4 * (lane % 4), &in.registers[m][lane], 4);
    });
}

EMULATION_NOINLINE void completeCopies(CopyQueue &queue, u32 pending) {
    while (queue.groupCount > pending) {
        const u32 end = queue.groupEnds[0];
        for (; queue.first < end; ++queue.first) {
            const Copy &copy = queue.items[queue.first];
            __builtin_memcpy(copy.destination, copy.bytes, copy.size);
        }
        --queue.groupCount;
        __builtin_memmove(queue.groupEnds, queue.groupEnds + 1, queue.groupCount * sizeof(u32));
    }
    if (queue.first < queue.count) return;
    // Groups that are left have no copies.
    queue.first = queue.count = 0;
    __builtin_memset(queue.groupEnds, 0, queue.groupCount * sizeof(u32));
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

static inline float unknown_one() { return 1; }

static inline float exp2_flushed(float x) {
    const float result = exp2f(x);
    return result < 0x1p-126f ? 0 : result;
}

static inline float reciprocal(float x) { return 1 / x; }

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

namespace emulation {

// The larger of each two numbers in the halves of two words, or the one that is a number; `infinity` is the largest of their type.
EMULATION_INLINE unsigned largerHalves(unsigned x, unsigned y, unsigned infinity) {
    unsigned result = 0;
    for (int shift = 0; shift < 32; shift += 16) {
        const unsigned one = x >> shift & 0xffff, other = y >> shift & 0xffff;
        // In the order of their values.
        const auto place = [](unsigned half) { return half & 0x8000 ? -static_cast<int>(half & 0x7fff) - 1 : static_cast<int>(half); };
        const bool oneIsNumber = (one & 0x7fff) <= infinity, otherIsNumber = (other & 0x7fff) <= infinity;
        unsigned larger = place(one) >= place(other) ? one : other;
        if (!oneIsNumber || !otherIsNumber) larger = oneIsNumber ? one : otherIsNumber ? other : 0x7fff;
        result |= larger << shift;
    }
    return result;
}

}  // namespace emulation

static inline unsigned larger_bfloat16(unsigned x, unsigned y) { return emulation::largerHalves(x, y, 0x7f80); }
static inline unsigned larger_float16(unsigned x, unsigned y) { return emulation::largerHalves(x, y, 0x7c00); }

static inline unsigned larger_or_nan_float16(unsigned x, unsigned y) {
    unsigned larger = larger_float16(x, y);
    for (int shift = 0; shift < 32; shift += 16)
        if ((x >> shift & 0x7fff) > 0x7c00 || (y >> shift & 0x7fff) > 0x7c00) larger |= 0x7fffu << shift;
    return larger;
}

static inline unsigned pack_float16(float low, float high) {
    return float_to_float16(low) | static_cast<unsigned>(float_to_float16(high)) << 16;
}

static inline unsigned round_to_tf32(float x) {
    const unsigned word = __float_as_uint(x), magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) return 0x7fffffff;
    return (word + 0x1000) & 0xffffe000;
}

EMULATION_NOINLINE void mma_bfloat16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    emulation::multiplyFragments<true>("mma_bfloat16", c, a, b);
}

EMULATION_NOINLINE void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    emulation::multiplyFragments<false>("mma_tf32", c, a, b);
}

EMULATION_NOINLINE void mma_float64(double &c0, double &c1, double a, double b) {
    const emulation::Self me = emulation::self();
    const unsigned lane = me.lane();
    emulation::Warp &warp = me.warp();
    warp.in.twice.a[lane] = a;
    warp.in.twice.b[lane % 4 * 8 + lane / 4] = b;
    warp.in.twice.c[2 * lane] = c0;
    warp.in.twice.c[2 * lane + 1] = c1;
    emulation::meet(me, "mma_float64", ~0u, emulation::productOfDoubles);
    c0 = warp.out.twice[2 * lane];
    c1 = warp.out.twice[2 * lane + 1];
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

template <int count>
static inline void load_now(float (&x)[count], const float *global, bool valid) {
    static_assert(count == 1 || count == 4, "one number or four");
    if (valid && reinterpret_cast<emulation::u64>(global) % sizeof(x) != 0) emulation::fail("a load from an address that is not aligned");
    for (int n = 0; n < count; ++n) x[n] = valid ? global[n] : 0;
}

static inline unsigned count_arrival(unsigned *counter, unsigned count = 1) { return atomicAdd(counter, count); }

// One grid after another.
static inline void start_next_kernel() {}
static inline void wait_for_previous_kernel() {}

namespace emulation {

// The bytes arrive at the wait for their group; until then the destination holds NaN.
EMULATION_NOINLINE void startCopy(void *shared, const void *global, u32 size, bool valid) {
    CopyQueue &queue = self().fiber().copies;
    if (queue.count == queue.capacity) {
        queue.capacity = queue.capacity == 0 ? 64 : 2 * queue.capacity;
        queue.items = static_cast<Copy *>(__builtin_realloc(queue.items, queue.capacity * sizeof(Copy)));
    }
    Copy &copy = queue.items[queue.count++];
    copy.destination = static_cast<unsigned char *>(shared);
    copy.size = size;
    if (valid) {
        __builtin_memcpy(copy.bytes, global, size);
    } else {
        __builtin_memset(copy.bytes, 0, size);
    }
    __builtin_memset(shared, 0xff, size);
}

}  // namespace emulation

static inline void copy_16(void *shared, const void *global, bool valid) {
    emulation::requireAligned(shared, "cp.async to an address that is no multiple of 16");
    emulation::requireAligned(global, "cp.async from an address that is no multiple of 16");
    emulation::startCopy(shared, global, 16, valid);
}

template <int bytes>
static inline void copy_few(void *shared, const void *global, bool valid) {
    static_assert(bytes == 4 || bytes == 8, "copy_16 copies 16");
    if (reinterpret_cast<emulation::u64>(shared) % bytes != 0 || reinterpret_cast<emulation::u64>(global) % bytes != 0)
        emulation::fail("cp.async of a number that is not aligned");
    emulation::startCopy(shared, global, bytes, valid);
}

static inline void commit_copies() {
    emulation::CopyQueue &queue = emulation::self().fiber().copies;
    if (queue.groupCount == 32) emulation::completeCopies(queue, 31);
    queue.groupEnds[queue.groupCount++] = queue.count;
}

template <int pending>
static inline void wait_copies() {
    emulation::completeCopies(emulation::self().fiber().copies, pending);
}
