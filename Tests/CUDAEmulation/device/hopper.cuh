// The functions of common/hopper.cuh for warps of fibers.
//
// A product is computed when the last thread of its warpgroup issues it, so that it sees shared memory as it is then, and arrives in the
// threads' sums at the wait for its group; until then they hold NaN, and what it read of shared memory must stay as it was.
#pragma once
#include "common/barriers.cuh"

namespace emulation {

// All threads of a warpgroup meet: the last one to arrive executes the operation for all.
template <typename Execute>
EMULATION_INLINE void meetGroup(const Self &me, const char *operation, u64 first, u64 second, u64 third, Execute execute) {
    WarpGroup &group = me.group();
    if (group.arrived == 0) {
        if (me.arena.block.threadCount < (me.index / groupThreads + 1) * groupThreads) fail("a warpgroup has 128 threads");
        group.operation = operation;
        group.arguments[0] = first, group.arguments[1] = second, group.arguments[2] = third;
    } else if (group.operation != operation) {
        fail("threads of one warpgroup meet at different operations");
    } else if (group.arguments[0] != first || group.arguments[1] != second || group.arguments[2] != third) {
        fail("threads of one warpgroup meet at an operation with different operands");
    }
    if (++group.arrived < groupThreads) return waitAt(me, operation, &group);
    execute(group);
    group.arrived = 0;
    Warp *warps = me.arena.warps + me.index / groupThreads * 4;
    for (u32 n = 0; n < 4; ++n) warps[n].blocked = 0, warps[n].runnable = ~0u;
}

}  // namespace emulation

static inline void fence_products() {}

namespace emulation {

EMULATION_NOINLINE void meetAtNamedBarrier(int barrier, u32 threads) {
    const Self me = self();
    if (barrier < 1 || barrier >= static_cast<int>(namedBarriers)) fail("a named barrier is one of 1 to 15");
    NamedBarrier &named = me.arena.block.named[barrier];
    if (named.arrived == 0) named.threads = threads;
    if (named.threads != threads) fail("threads meet at a named barrier with different counts");
    if (++named.arrived < threads) return waitAt(me, "named_barrier", &named);
    for (u32 n = 0; n < me.arena.block.warpCount; ++n) {
        const Warp &warp = me.arena.warps[n];
        const u32 lanes = lanesAt(warp, &named) | (n == me.index / 32 ? me.bit() : 0);
        if (lanes != 0 && lanes != warp.exists) fail("only some lanes of a warp are at a named barrier");
    }
    named.arrived = 0;
    letGo(me.arena, &named);
}

}  // namespace emulation

template <int threads>
static inline void named_barrier(int barrier) {
    static_assert(threads > 0 && threads % 32 == 0, "whole warps meet");
    emulation::meetAtNamedBarrier(barrier, threads);
}

template <int registers>
static inline void lower_registers() {
    static_assert(registers >= 24 && registers <= 256 && registers % 8 == 0, "registers come in eights");
    emulation::meetGroup(emulation::self(), "lower_registers", registers, 0, 0, [](emulation::WarpGroup &) {});
}

template <int registers>
static inline void raise_registers() {
    static_assert(registers >= 24 && registers <= 256 && registers % 8 == 0, "registers come in eights");
    emulation::meetGroup(emulation::self(), "raise_registers", registers, 0, 0, [](emulation::WarpGroup &) {});
}

// Products of two numbers in bfloat16 are exact in float32 wherever that matters to their rounding.
static inline unsigned multiply_bfloat16(unsigned a, unsigned b) {
    return pack_bfloat16(
        __uint_as_float(a << 16) * __uint_as_float(b << 16), __uint_as_float(a & 0xffff0000) * __uint_as_float(b & 0xffff0000));
}

static inline unsigned multiply_by_low_bfloat16(unsigned a, unsigned b) { return multiply_bfloat16(a, (b & 0xffff) * 0x10001u); }
static inline unsigned multiply_by_high_bfloat16(unsigned a, unsigned b) { return multiply_bfloat16(a, (b >> 16) * 0x10001u); }

static inline unsigned larger_sizes_bfloat16(unsigned x, unsigned y) {
    return larger_bfloat16(x & 0x7fff7fff, y & 0x7fff7fff) | ((x ^ y) & 0x80008000);
}

namespace emulation {

// A descriptor, from bit 0 on: 44 bits of the address in units of 16 bytes, so that the address may be moved as on a card, 14 of the rows
// of a panel of 64 columns, one that says whether these are k, and 5 that tell a descriptor from other numbers.
constexpr u64 descriptorMark = 0x15;

struct Panels {
    const unsigned char *first;
    u64 panelBytes;

    static Panels of(u64 descriptor, bool rowsAreK) {
        if (descriptor >> 59 != descriptorMark) fail("a product of what is no descriptor");
        if ((descriptor >> 58 & 1) != rowsAreK) fail("a descriptor and a product of it disagree about which index is k");
        return {reinterpret_cast<const unsigned char *>((descriptor & ((1ull << 44) - 1)) << 4), (descriptor >> 44 & 0x3fff) * 128};
    }
};

typedef float Floats8 __attribute__((vector_size(32)));
typedef u32 Words8 __attribute__((vector_size(32)));
typedef unsigned short Shorts8 __attribute__((vector_size(16)));

template <typename Vector>
EMULATION_INLINE Vector loadVector(const void *place) {
    Vector result;
    __builtin_memcpy(&result, place, sizeof result);
    return result;
}

EMULATION_INLINE void widen8(float *numbers, const void *words) {
    const Words8 wide = __builtin_convertvector(loadVector<Shorts8>(words), Words8) << 16;
    __builtin_memcpy(numbers, &wide, sizeof wide);
}

// Where piece `n` of an operand stands: the hardware mixes bits 7 to 9 of an address into bits 4 to 6.
EMULATION_INLINE const unsigned char *pieceOf(const Operand &operand, const unsigned char *shared, u32 n) {
    const u32 rows = operand.rowsAreK ? 16 : operand.pieces / 2;
    const u64 place = static_cast<u64>(operand.first - shared) + n % rows * 128
        + (operand.rowsAreK ? n / 16 / 8 * operand.panelBytes + n / 16 % 8 * 16 : n / rows * 16);
    return shared + (place ^ (place >> 3 & 0x70));
}

// Takes what a product reads of shared memory.
EMULATION_NOINLINE const unsigned char *takeOperand(WarpGroup &group, const Panels &panels, bool rowsAreK, u32 pieces, u32 number) {
    if (group.operandCount == group.operandCapacity) {
        group.operandCapacity = group.operandCapacity == 0 ? 16 : 2 * group.operandCapacity;
        group.operands = static_cast<Operand *>(__builtin_realloc(group.operands, group.operandCapacity * sizeof(Operand)));
    }
    Operand &operand = group.operands[group.operandCount++];
    operand.first = panels.first, operand.panelBytes = panels.panelBytes;
    operand.pieces = pieces, operand.rowsAreK = rowsAreK, operand.group = number;
    const unsigned char *const shared = self().arena.block.shared;
    for (u32 n = 0; n < pieces; ++n) __builtin_memcpy(operand.bytes + n * 16, pieceOf(operand, shared, n), 16);
    return operand.bytes;
}

// Panels of 16 rows k of 8 columns.
EMULATION_NOINLINE void takeColumns(float (*columns)[16][8], WarpGroup &group, u64 descriptor, bool rowsAreK, u32 panels, u32 number) {
    const Panels b = Panels::of(descriptor, rowsAreK);
    if (rowsAreK) {
        const unsigned char *bytes = takeOperand(group, b, true, panels * 16, number);
        for (u32 n = 0; n < panels * 16; ++n) widen8(columns[0][n], bytes + 16 * n);
        return;
    }
    const unsigned char *bytes = takeOperand(group, b, false, panels * 16, number);
    for (u32 n = 0; n < panels; ++n)
        for (u32 half = 0; half < 2; ++half) {
            unsigned short matrix[8][8], transposed[8][8];
            __builtin_memcpy(matrix, bytes + (half * panels + n) * 128, sizeof matrix);
            for (u32 k = 0; k < 8; ++k)
                for (u32 column = 0; column < 8; ++column) transposed[k][column] = matrix[column][k];
            for (u32 k = 0; k < 8; ++k) widen8(columns[n][8 * half + k], transposed[k]);
        }
}

EMULATION_NOINLINE void takeRows(float (*rows)[16], WarpGroup &group, bool isShared, u64 descriptor, u32 number) {
    if (!isShared) {
        for (u32 row = 0; row < 64; ++row)
            for (u32 half = 0; half < 2; ++half) widen8(rows[row] + 8 * half, group.rows[row] + 4 * half);
        return;
    }
    const unsigned char *bytes = takeOperand(group, Panels::of(descriptor, false), false, 128, number);
    for (u32 row = 0; row < 64; ++row)
        for (u32 half = 0; half < 2; ++half) widen8(rows[row] + 8 * half, bytes + half * 1024 + row * 16);
}

// 64 rows of 8 columns.
template <bool isFirst>
EMULATION_NOINLINE void addProduct(float *sums, const float (*rows)[16], const float (*columns)[8]) {
    for (u32 row = 0; row < 64; row += 8, sums += 8 * maximumColumns) {
        Floats8 part[8];
        for (u32 n = 0; n < 8; ++n) part[n] = isFirst ? Floats8{} : loadVector<Floats8>(sums + n * maximumColumns);
        for (u32 k = 0; k < 16; ++k) {
            const Floats8 column = loadVector<Floats8>(columns[k]);
            for (u32 n = 0; n < 8; ++n) part[n] += column * rows[row + n][k];
        }
        for (u32 n = 0; n < 8; ++n) __builtin_memcpy(sums + n * maximumColumns, part + n, sizeof part[n]);
    }
}

// Takes a thread's sums from its place, or gives them back and says whether the place holds what it was filled with: two numbers of
// either of two rows for every 8 columns.
template <bool isTaken>
EMULATION_INLINE bool moveSums(Sums &sums, u32 thread) {
    const u32 lane = thread % 32;
    unsigned char *numbers = reinterpret_cast<unsigned char *>(sums.numbers[thread / 32 * 16 + lane / 4] + lane % 4 * 2);
    unsigned char *place = reinterpret_cast<unsigned char *>(sums.places[thread]);
    u64 untouched = ~0ull;
    for (u32 n = 0; n < sums.columns / 8; ++n, numbers += 32, place += 16)
        for (u32 half = 0; half < 2; ++half) {
            unsigned char *const pair = numbers + half * sizeof sums.numbers[0] * 8;
            if (isTaken) {
                __builtin_memcpy(pair, place + 8 * half, 8);
            } else {
                untouched &= loadVector<u64>(place + 8 * half);
                __builtin_memcpy(place + 8 * half, pair, 8);
            }
        }
    return untouched == ~0ull;
}

// The sums under way at the threads' places, or new ones.
EMULATION_NOINLINE Sums &sumsUnderWay(WarpGroup &group, u32 columns, bool accumulate) {
    for (u32 rest = group.live; rest != 0; rest &= rest - 1) {
        Sums &sums = *group.sums[__builtin_ctz(rest)];
        u32 equal = 0;
        for (u32 n = 0; n < groupThreads; ++n) equal += sums.places[n] == group.places[n];
        if (equal == 0) continue;
        if (equal != groupThreads) fail("threads of one warpgroup add to different sums");
        if (sums.columns != columns) fail("products of different shapes in the same sums without a wait");
        return sums;
    }
    const u32 free = ~group.live & ((1u << maximumSums) - 1);
    if (free == 0) fail("more sums of products are under way than the emulation has room for");
    const u32 index = __builtin_ctz(free);
    group.live |= 1u << index;
    if (group.sums[index] == nullptr) group.sums[index] = static_cast<Sums *>(__builtin_malloc(sizeof(Sums)));
    Sums &sums = *group.sums[index];
    sums.columns = columns;
    __builtin_memcpy(sums.places, group.places, sizeof sums.places);
    for (u32 thread = 0; thread < groupThreads; ++thread) {
        if (accumulate) moveSums<true>(sums, thread);
        __builtin_memset(sums.places[thread], 0xff, columns / 2 * sizeof(float));
    }
    return sums;
}

struct Product {
    u32 columns, group;
    bool rowsAreK, isShared, accumulate;

    u64 word() const {
        return group | static_cast<u64>(columns) << 32 | u64(rowsAreK) << 40 | u64(isShared) << 41 | u64(accumulate) << 42;
    }
};

EMULATION_NOINLINE void execute(WarpGroup &group, const Product &product) {
    const u32 panels = product.columns / 8;
    float columns[maximumColumns / 8][16][8], rows[64][16];
    takeColumns(columns, group, group.arguments[2], product.rowsAreK, panels, product.group);
    takeRows(rows, group, product.isShared, group.arguments[1], product.group);
    Sums &sums = sumsUnderWay(group, product.columns, product.accumulate);
    sums.group = product.group;
    for (u32 n = 0; n < panels; ++n)
        if (product.accumulate) {
            addProduct<false>(sums.numbers[0] + 8 * n, rows, columns[n]);
        } else {
            addProduct<true>(sums.numbers[0] + 8 * n, rows, columns[n]);
        }
}

EMULATION_NOINLINE void multiplyOfGroup(float *c, const unsigned *a, u64 descriptorOfA, u64 b, Product product) {
    const Self me = self();
    WarpGroup &group = me.group();
    ProductState &state = me.fiber().products;
    if (state.open == 0 && !state.isBegun) fail("a product without products_begin since the last products_wait");
    ++state.open;
    product.group = state.committed;
    group.places[me.index % groupThreads] = c;
    if (a != nullptr) {
        const u32 lane = me.lane(), row = me.index % groupThreads / 32 * 16 + lane / 4;
        for (u32 n = 0; n < 4; ++n) group.rows[row + n % 2 * 8][lane % 4 + n / 2 * 4] = a[n];
    }
    meetGroup(me, "multiply_group", product.word(), descriptorOfA, b, [&product](WarpGroup &group) { execute(group, product); });
}

// Ends the groups of products before number `end`.
EMULATION_NOINLINE void completeProducts(const Self &me, WarpGroup &group, u32 end) {
    // Time for others to overwrite operands that they were told too early to be free.
    giveWay(me);
    u32 kept = 0;
    for (u32 n = 0; n < group.operandCount; ++n) {
        const Operand &operand = group.operands[n];
        if (operand.group >= end) {
            if (kept != n) group.operands[kept] = operand;
            ++kept;
            continue;
        }
        for (u32 piece = 0; piece < operand.pieces; ++piece)
            if (__builtin_memcmp(operand.bytes + piece * 16, pieceOf(operand, me.arena.block.shared, piece), 16) != 0)
                fail("shared memory was written that a product reads which has not been waited for");
    }
    group.operandCount = kept;
    for (u32 rest = group.live; rest != 0; rest &= rest - 1) {
        const u32 index = __builtin_ctz(rest);
        Sums &sums = *group.sums[index];
        if (sums.group >= end) continue;
        for (u32 thread = 0; thread < groupThreads; ++thread)
            if (!moveSums<false>(sums, thread)) fail("sums of products were written before the wait for them");
        group.live &= ~(1u << index);
    }
}

EMULATION_NOINLINE void waitForProducts(u32 pending) {
    const Self me = self();
    ProductState &state = me.fiber().products;
    state.isBegun = false;
    if (state.committed <= state.completed + pending) return;
    const u32 end = state.completed = state.committed - pending;
    meetGroup(me, "products_wait", end, pending, 0, [&me, end](WarpGroup &group) { completeProducts(me, group, end); });
}

template <int count>
constexpr bool isProduct = (count % 4 == 0 && count >= 8 && count <= 68) || count == 128;

}  // namespace emulation

EMULATION_NOINLINE unsigned long long panel_descriptor(const void *first, int rows, bool rowsAreK) {
    using namespace emulation;
    requireAligned(first, "a descriptor of an address that is no multiple of 16");
    if (rows < 0 || rows > 0x3fff) fail("a descriptor of too many rows");
    return reinterpret_cast<u64>(first) >> 4 | static_cast<u64>(rows) << 44 | u64(rowsAreK) << 58 | descriptorMark << 59;
}

static inline unsigned long long panel_advance(unsigned long long matrix, int numbers) {
    if (numbers % 8 != 0) emulation::fail("a descriptor moved by a part of 16 bytes");
    return matrix + numbers / 8;
}

template <int count>
static inline void operands_ready(unsigned (&)[count][4]) {}

template <int count>
static inline void words_ready(unsigned (&)[count]) {}

EMULATION_NOINLINE void store_matrices(void *address, const unsigned (&r)[4]) { emulation::storeMatrices("store_matrices", r, address); }

static inline void prefetch(const void *) {}

static inline int thread_index() { return threadIdx.x; }

static inline void count_globally(int *number) { __atomic_fetch_add(number, 1, __ATOMIC_RELEASE); }

// The grid before is over: what has not been counted never will be.
static inline void wait_for_count(const int *number, int count) {
    if (__atomic_load_n(number, __ATOMIC_ACQUIRE) != count) emulation::fail("waits for a count that never comes");
}

static inline void products_begin() { emulation::self().fiber().products.isBegun = true; }

static inline void products_commit() {
    emulation::ProductState &state = emulation::self().fiber().products;
    ++state.committed;
    state.open = 0;
}

template <int pending>
static inline void products_wait() {
    emulation::waitForProducts(pending);
}

template <int count>
static inline void products_use(float (&)[count]) {}

template <bool rowsAreK, int count>
static inline void multiply_group(float (&c)[count], const unsigned (&a)[4], unsigned long long b, bool accumulate) {
    static_assert(emulation::isProduct<count>, "a product of a number of columns that common/hopper.cuh has");
    emulation::multiplyOfGroup(c, a, 0, b, {2 * count, 0, rowsAreK, false, accumulate});
}

template <bool rowsAreK, int count>
static inline void multiply_group(float (&c)[count], unsigned long long a, unsigned long long b, bool accumulate) {
    static_assert(emulation::isProduct<count>, "a product of a number of columns that common/hopper.cuh has");
    emulation::multiplyOfGroup(c, nullptr, a, b, {2 * count, 0, rowsAreK, true, accumulate});
}
