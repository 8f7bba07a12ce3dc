// What the driver and the compiled kernels share: one arena an OS thread, in which one block of a grid runs at a time.
//
// Threads of the block are fibers. Their stacks are slots of the arena, which is aligned to its size: a fiber knows its own record
// and its block from its stack pointer alone.
#pragma once

namespace emulation {

typedef unsigned int u32;
typedef unsigned long long u64;

constexpr u64 slotBytes = 1 << 17;
constexpr u64 arenaBytes = 1 << 28;
constexpr u32 slotCount = arenaBytes / slotBytes;
// A multiple of 32 comes first, so that lanes are low bits of slots.
constexpr u32 fiberSlot = 2, firstStackSlot = 32;
constexpr u32 maximumThreads = 1024, maximumWarps = 32;
constexpr u64 guardBytes = 4096;

struct Index3 {
    u32 x, y, z;
};

// Where a suspended fiber goes on; with ucontext, `stack` is its context.
struct Context {
    void *stack, *frame, *resume;
};

// One asynchronous copy of 16 bytes that has not been waited for.
struct Copy {
    unsigned char *destination;
    u32 size;
    unsigned char bytes[16];
};

struct CopyQueue {
    Copy *items;
    u32 first, count, capacity;
    // The end of every committed group that has not been waited for, oldest first.
    u32 groupCount;
    u32 groupEnds[32];
};

// What the driver writes to a tensor map: a matrix of numbers of 16 bits, and the extents of its boxes.
struct Matrix {
    u64 mark;
    unsigned char *first;
    u64 rows, columns, rowBytes;
    u32 boxRows, boxColumns;
};
constexpr u64 matrixMark = 0x6d61747269783031;

// Bulk copies to global memory, of so many bytes or of a box of a matrix: shared memory is read when they are waited for.
struct BulkStore {
    unsigned char *destination;
    const unsigned char *source;
    u32 size;
    const Matrix *matrix;
    int row, column;
};

struct BulkStores {
    BulkStore items[32];
    u32 count;
    // The end of every committed group that has not been waited for, oldest first.
    u32 groupCount;
    u32 groupEnds[32];
};

struct alignas(4096) Warp {
    u32 index, exists, runnable, waiting, atBarrier, exited;
    // Lanes that wait for threads of other warps, but for __syncthreads.
    u32 blocked;
    // What its lanes wait at, and, below a full mask, what each lane waits at.
    const char *operation;
    const char *laneOperation[32];
    u32 laneMask[32];
    // The barrier or warpgroup that a blocked lane waits at.
    const void *lanePlace[32];
    // Operands of the lanes. The next operation may write them while lanes have yet to read the results of the last one.
    alignas(64) union {
        // The registers of the lanes, those of b transposed: rows of 4 words of a, of 8 words of b, of 8 numbers of c.
        struct {
            u32 a[4][32], b[2][32];
            float c[2][64];
        } single;
        struct {
            double a[32], b[32], c[64];
        } twice;
        u64 values[32];
        const unsigned char *addresses[32];
        struct {
            unsigned char *addresses[32];
            u32 registers[4][32];
        } stored;
    } in;
    alignas(64) union {
        float single[2][64];
        double twice[64];
        u64 values[32];
        u32 registers[4][32];
    } out;
};

// What a thread has done about products of its warpgroup: groups that it has committed, those that it has waited for, products since
// the last commit.
struct ProductState {
    u32 committed, completed, open;
    bool isBegun;
};

struct alignas(256) Fiber {
    Context context;
    Index3 thread;
    CopyQueue copies;
    BulkStores stores;
    ProductState products;
};

constexpr u32 groupThreads = 128, maximumGroups = maximumThreads / groupThreads;
constexpr u32 maximumColumns = 256, maximumSums = 16;

// Sums of products that have not been waited for; all threads' own places hold NaN meanwhile.
struct Sums {
    float numbers[64][maximumColumns];
    float *places[groupThreads];
    u32 columns, group;
};

// A matrix in shared memory that a product has read, as it was then: the memory must stay so until the product has been waited for.
struct Operand {
    const unsigned char *first;
    u64 panelBytes;
    // Pieces of 16 bytes: of 16 rows k, panel after panel, or of columns, the first half of k before the second.
    u32 pieces, group;
    bool rowsAreK;
    unsigned char bytes[maximumColumns * 32];
};

// Four warps that multiply matrices together.
struct WarpGroup {
    u32 arrived;
    // What the first thread to arrive gave; the others must agree.
    const char *operation;
    u64 arguments[3];
    // Bits of the sums under way.
    u32 live;
    Sums *sums[maximumSums];
    Operand *operands;
    u32 operandCount, operandCapacity;
    // Operands of the threads: places of sums, and rows of 16 numbers in bfloat16.
    float *places[groupThreads];
    u32 rows[64][8];
};

struct NamedBarrier {
    u32 threads, arrived;
};

constexpr u32 namedBarriers = 16;

struct Block {
    Index3 grid, threads, index;
    u32 threadCount, warpCount, live, arrived;
    // Warps and lanes take turns upward, or downward in every other block.
    bool isDescending;
    int anyPredicate, allPredicates, predicateCount, barrierResult[3];
    NamedBarrier named[namedBarriers];
    unsigned char *shared;
    u32 sharedBytes;
    void (*call)(void *function, void **parameters);
    void *function;
    void **parameters;
    const char *error;
    u32 errorThread;
    Context main;
};

struct Arena {
    Block block;
    Warp warps[maximumWarps];
    WarpGroup groups[maximumGroups];

    Fiber *fibers() { return reinterpret_cast<Fiber *>(reinterpret_cast<unsigned char *>(this) + fiberSlot * slotBytes) + firstStackSlot; }
    unsigned char *stack(u32 thread) { return reinterpret_cast<unsigned char *>(this) + (firstStackSlot + thread) * slotBytes; }
};
static_assert(sizeof(Arena) <= fiberSlot * slotBytes, "the slots of fibers follow");
static_assert(sizeof(Fiber) * (maximumThreads + firstStackSlot) <= (firstStackSlot - fiberSlot) * slotBytes, "stacks follow");

// A kernel as its module describes it.
struct Kernel {
    const char *name;
    void *function;
    void (*call)(void *function, void **parameters);
    const u32 *parameterBytes;
    u32 parameterCount;
    // Of __launch_bounds__, or 1024.
    u32 maximumThreads;
};

}  // namespace emulation
