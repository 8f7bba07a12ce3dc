// Of the functions of common/hopper.cuh, for warps of fibers: barriers in shared memory, bulk copies, and boxes of matrices.
#pragma once
#include "common/ptx.cuh"

namespace emulation {

// The word of a barrier in shared memory, from bit 0 on: 20 bits of the count, 20 of the arrivals that are missing, one of the parity of
// the phase, and 23 that tell a barrier from other memory.
constexpr u64 barrierMark = 0x2bad5 << 1;

struct SharedBarrier {
    u64 *word;
    u32 count, pending, parity;

    static SharedBarrier at(u64 *word) {
        if (reinterpret_cast<u64>(word) % 8 != 0) fail("a barrier at an address that is no multiple of 8");
        const u64 value = *word;
        if (value >> 41 != barrierMark) fail("use of a barrier that was not initialized");
        return {word, static_cast<u32>(value & 0xfffff), static_cast<u32>(value >> 20 & 0xfffff), static_cast<u32>(value >> 40 & 1)};
    }

    void store() const { *word = count | static_cast<u64>(pending) << 20 | static_cast<u64>(parity) << 40 | barrierMark << 41; }
};

}  // namespace emulation

EMULATION_NOINLINE void barrier_init(unsigned long long *barrier, int count) {
    using namespace emulation;
    if (reinterpret_cast<u64>(barrier) % 8 != 0) fail("a barrier at an address that is no multiple of 8");
    if (count < 1 || count > 0xfffff) fail("a barrier of no or of too many arrivals");
    SharedBarrier{barrier, static_cast<u32>(count), static_cast<u32>(count), 0}.store();
}

EMULATION_NOINLINE void barrier_arrive(unsigned long long *barrier) {
    using namespace emulation;
    SharedBarrier state = SharedBarrier::at(barrier);
    const bool isComplete = --state.pending == 0;
    if (isComplete) state.pending = state.count, state.parity ^= 1;
    state.store();
    // All that wait do so for the phase that was the current one.
    if (isComplete) letGo(arena(), barrier);
}

// The copies are done at once: nothing may read what they bring before the barrier says so.
static inline void barrier_arrive_after_copies(unsigned long long *barrier) {
    commit_copies();
    wait_copies<0>();
    barrier_arrive(barrier);
}

namespace emulation {

static inline void requireBulk(const void *destination, const void *source, int bytes) {
    requireAligned(destination, "a bulk copy to an address that is no multiple of 16");
    requireAligned(source, "a bulk copy from an address that is no multiple of 16");
    if (bytes <= 0 || bytes % 16 != 0) fail("a bulk copy of no multiple of 16 bytes");
}

}  // namespace emulation

// The bytes arrive when the thread does.
static inline void copy_bulk(void *shared, const void *global, int bytes, unsigned long long *barrier) {
    using namespace emulation;
    SharedBarrier::at(barrier);
    requireBulk(shared, global, bytes);
    for (int n = 0; n < bytes; n += 16)
        startCopy(static_cast<unsigned char *>(shared) + n, static_cast<const unsigned char *>(global) + n, 16, true);
}

struct __align__(64) TensorMap {
    unsigned long long words[16];
};

namespace emulation {

static inline const Matrix &matrixOf(const TensorMap &map) {
    const Matrix &matrix = *reinterpret_cast<const Matrix *>(&map);
    static_assert(sizeof(Matrix) <= sizeof(TensorMap), "a tensor map has room for it");
    if (matrix.mark != matrixMark) fail("a box of what is no tensor map");
    return matrix;
}

// Calls body(piece in shared memory, piece in the matrix, its bytes there) for the pieces of a box, a panel of 64 columns with the hardware's swizzle.
template <typename Body>
static inline void forBox(const Matrix &matrix, int row, int column, const unsigned char *panel, Body body) {
    if ((panel - self().arena.block.shared) % 1024 != 0) fail("a panel that begins at no multiple of 1024 bytes");
    for (u32 n = 0; n < matrix.boxRows; ++n)
        for (u32 piece = 0; piece < 8; ++piece) {
            const long long r = static_cast<long long>(row) + n, c = static_cast<long long>(column) + 8 * piece;
            const bool isWithin = r >= 0 && c >= 0 && static_cast<u64>(r) < matrix.rows && static_cast<u64>(c) < matrix.columns;
            const u64 bytes = isWithin ? 2 * (matrix.columns - c) : 0;
            body(
                panel + 128 * n + 16 * (piece ^ n % 8), isWithin ? matrix.first + r * matrix.rowBytes + 2 * c : nullptr,
                static_cast<u32>(bytes < 16 ? bytes : 16));
        }
}

EMULATION_NOINLINE void addStore(const BulkStore &store) {
    BulkStores &stores = self().fiber().stores;
    if (stores.count == sizeof(stores.items) / sizeof(BulkStore)) fail("too many bulk copies that nobody waits for");
    stores.items[stores.count++] = store;
}

static inline void execute(const BulkStore &store) {
    if (store.matrix == nullptr) {
        __builtin_memcpy(store.destination, store.source, store.size);
        return;
    }
    forBox(*store.matrix, store.row, store.column, store.source, [](const unsigned char *shared, unsigned char *global, u32 bytes) {
        if (bytes > 0) __builtin_memcpy(global, shared, bytes);
    });
}

// Shared memory is read as late as may be.
EMULATION_NOINLINE void waitForStores(u32 pending) {
    BulkStores &stores = self().fiber().stores;
    if (stores.groupCount <= pending) return;
    const u32 groups = stores.groupCount - pending, end = stores.groupEnds[groups - 1];
    for (u32 n = 0; n < end; ++n) execute(stores.items[n]);
    stores.count -= end;
    __builtin_memmove(stores.items, stores.items + end, stores.count * sizeof(BulkStore));
    stores.groupCount = pending;
    for (u32 n = 0; n < pending; ++n) stores.groupEnds[n] = stores.groupEnds[n + groups] - end;
}

}  // namespace emulation

// The bytes arrive when the thread does.
EMULATION_NOINLINE void copy_box(
    void *shared, const TensorMap &matrix, int row, int column, int bytes, unsigned long long *barrier
) {
    using namespace emulation;
    SharedBarrier::at(barrier);
    const Matrix &known = matrixOf(matrix);
    if (bytes != static_cast<int>(128 * known.boxRows)) fail("a box of other bytes than are waited for");
    forBox(known, row, column, static_cast<unsigned char *>(shared), [](const unsigned char *place, const unsigned char *global, u32 bytes) {
        unsigned char piece[16] = {};
        if (bytes > 0) __builtin_memcpy(piece, global, bytes);
        startCopy(const_cast<unsigned char *>(place), piece, 16, true);
    });
}

static inline void store_bulk(void *global, const void *shared, int bytes) {
    emulation::requireBulk(global, shared, bytes);
    emulation::addStore(
        {static_cast<unsigned char *>(global), static_cast<const unsigned char *>(shared), static_cast<emulation::u32>(bytes), nullptr, 0, 0});
}

static inline void store_box(const TensorMap &matrix, int row, int column, const void *shared) {
    emulation::addStore({nullptr, static_cast<const unsigned char *>(shared), 0, &emulation::matrixOf(matrix), row, column});
}

static inline void commit_bulk_stores() {
    emulation::BulkStores &stores = emulation::self().fiber().stores;
    if (stores.groupCount == sizeof(stores.groupEnds) / sizeof(stores.groupEnds[0])) emulation::fail("too many groups of bulk copies");
    stores.groupEnds[stores.groupCount++] = stores.count;
}

static inline void wait_bulk_stores() { emulation::waitForStores(0); }

template <int pending = 0>
static inline void wait_bulk_reads() {
    emulation::waitForStores(pending);
}

EMULATION_NOINLINE void barrier_wait(unsigned long long *barrier, int parity) {
    using namespace emulation;
    if (parity != 0 && parity != 1) fail("a parity is 0 or 1");
    if (SharedBarrier::at(barrier).parity == static_cast<u32>(parity)) waitAt(self(), "barrier_wait", barrier);
}
