// Tiles in shared memory as panels of 64 columns (common/hopper.cuh), and the ring of stages by which a warpgroup brings them while others
// multiply.
#pragma once
#include "common/elements.cuh"
#include "common/hopper.cuh"

// Whether a producer and `groups` consumers can have so many registers a thread, multiples of 8: those that the block starts with, as many as
// there are for all of its threads. One who waits for more than others give back waits forever.
constexpr bool share_registers(int groups, int producer, int consumer) {
    return producer + groups * consumer <= (groups + 1) * (512 / (groups + 1) / 8 * 8);
}

// How most kernels share them out.
constexpr int producer_registers(int groups) { return groups == 3 ? 56 : groups == 2 ? 88 : 240; }
constexpr int consumer_registers(int groups) { return groups == 3 ? 152 : groups == 2 ? 208 : 240; }
static_assert(share_registers(1, producer_registers(1), consumer_registers(1)), "registers for all");
static_assert(share_registers(2, producer_registers(2), consumer_registers(2)), "registers for all");
static_assert(share_registers(3, producer_registers(3), consumer_registers(3)), "registers for all");

// The number of a thread's warpgroup in its block, by a shuffle: only so does the compiler know it to be one for all of a warp, and keeps what
// follows from it, places in rings and descriptors of products, in the registers that a warp has once.
__device__ __forceinline__ int warpgroup_index() { return __shfl_sync(~0u, thread_index() / 128, 0); }

// The numbers that a matrix takes.
constexpr int panel_numbers(int rows, int columns) { return rows * ((columns + 63) / 64 * 64); }

// Where number (row, column) of a matrix of `rows` rows stands.
__device__ __forceinline__ int panel_place(int row, int column, int rows) {
    return 64 * (column / 64 * rows + row) + (column / 8 ^ row) % 8 * 8 + column % 8;
}

// Whether all numbers of a row of a matrix of `rows` rows are zero.
template <int rows, int columns>
__device__ __forceinline__ bool is_zero_row(const elem *matrix, int row) {
    unsigned bits = 0;
#pragma unroll 1
    for (int column = 0; column < columns; column += 8) {
        const uint4 eight = *reinterpret_cast<const uint4 *>(matrix + panel_place(row, column, rows));
        bits |= eight.x | eight.y | eight.z | eight.w;
    }
    return (bits & 0x7fff7fff) == 0;
}

// How far a descriptor goes from (0, 0) to (row, column), multiples of 8 and of 16.
constexpr int panel_offset(int row, int column, int rows) { return 64 * (column / 64 * rows + row) + column % 64; }

// `rows` rows of `pieces` times 8 numbers, from piece `first` on, `stride` apart, by a warpgroup. Rows from `valid` on become zero.
// Neighbouring threads read neighbouring numbers, a few times without a branch where registers for their places are few.
template <int rows, int pieces, bool areFew = false, int first = 0>
__device__ __forceinline__ void copy_panels(elem *shared, const elem *global, size_t stride, int valid, int thread) {
    if constexpr (pieces <= 16 && 128 % pieces == 0) {
        // A thread stays in its columns; rows that are a multiple of 8 apart have their pieces in the same places.
        const int row = thread / pieces, piece = first + thread % pieces;
        const elem *source = global + row * stride + piece * 8;
        elem *destination = shared + panel_place(row, piece * 8, rows);
        constexpr int atOnce = areFew ? 2 : rows;
        if (valid >= rows) {
#pragma unroll atOnce
            for (int n = 0; n < rows; n += 128 / pieces)
                if (n + 128 / pieces <= rows || row + n < rows) copy_16(destination + 64 * n, source + n * stride, true);
        } else {
#pragma unroll 1
            for (int n = 0; n < rows; n += 128 / pieces) {
                const bool isValid = row + n < valid;
                if (row + n < rows) copy_16(destination + 64 * n, isValid ? source + n * stride : global, isValid);
            }
        }
    } else if constexpr (areFew) {
        // One after another: places of several kinds of pieces would take registers, but the loop takes time.
#pragma unroll 1
        for (int n = thread; n < rows * pieces; n += 128) {
            const int row = n / pieces, column = 8 * (first + n % pieces);
            copy_16(shared + panel_place(row, column, rows), row < valid ? global + row * stride + column : global, row < valid);
        }
    } else {
        // The pieces of the largest power of two, then the others.
        constexpr int most = pieces > 16 ? 16 : pieces > 8 ? 8 : pieces > 4 ? 4 : 2;
        copy_panels<rows, most, false, first>(shared, global, stride, valid, thread);
        copy_panels<rows, pieces - most, false, first + most>(shared, global, stride, valid, thread);
    }
}

// A tile of a state, [rows, valueWidth + 8]. The normalizer's eight columns, of which the first is not zero, come twice: 16 columns are
// a step of k of products whose columns are features, and one factor may be split in two parts.
template <int rows, int valueWidth>
__device__ __forceinline__ void copy_state(elem *shared, const elem *state, int valid, int thread) {
    constexpr int stride = valueWidth + 8;
    copy_panels<rows, valueWidth / 8>(shared, state, stride, valid, thread);
#pragma unroll
    for (int n = thread; n < 2 * rows; n += 128) {
        const int row = n / 2;
        copy_16(shared + panel_place(row, valueWidth + 8 * (n % 2), rows), state + (row < valid ? row * stride : 0) + valueWidth, row < valid);
    }
}

// Where a warpgroup is in the ring: positions count on over all tiles of a block.
template <int stages>
struct RingPosition {
    int stage = 0, parity = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == stages) stage = 0, parity ^= 1;
    }
};

// A warp has done its part.
__device__ __forceinline__ void arrive_warp(unsigned long long *barrier, int lane) {
    __syncwarp();
    if (lane == 0) barrier_arrive(barrier);
}

// `stages` of tiles: barriers that copies of `arrivals` threads have filled them, and that `groups` warpgroups have read them. Of 256 that fill a
// stage 128 are the filling side's own, after what else it does to the stage.
template <int stages, int groups, int arrivals = 128>
struct Ring {
    unsigned long long *full, *empty;

    __device__ __forceinline__ explicit Ring(unsigned long long *barriers) : full(barriers), empty(barriers + stages) {}

    __device__ __forceinline__ void initialize() {
        for (int n = 0; n < stages; ++n) {
            barrier_init(full + n, arrivals);
            barrier_init(empty + n, 4 * groups);
        }
    }

    // The filling side: a stage to copy to, and its end. The copies before it, of this stage and of anything else, are in it.
    __device__ __forceinline__ int begin(const RingPosition<stages> &at) {
        barrier_wait(empty + at.stage, at.parity ^ 1);
        return at.stage;
    }

    // Numbers that stand in memory as they do in the stage, a multiple of 8, by one of the side's threads.
    template <int count>
    __device__ __forceinline__ void copy(const RingPosition<stages> &at, elem *shared, const elem *global, int thread) const {
        static_assert(count * sizeof(elem) % 16 == 0, "bulk copies are of 16 bytes");
        if (thread == 0) copy_bulk(shared, global, count * sizeof(elem), full + at.stage);
    }

    // A box of a matrix of so many numbers.
    template <int count>
    __device__ __forceinline__ void copy_box(
        const RingPosition<stages> &at, elem *shared, const TensorMap &matrix, int row, int column
    ) const {
        ::copy_box(shared, matrix, row, column, count * sizeof(elem), full + at.stage);
    }

    __device__ __forceinline__ void end(RingPosition<stages> &at) {
        barrier_arrive_after_copies(full + at.stage);
        at.advance();
    }

    // Its own arrival where stages have one: what it did to the stage, besides copies, is over.
    __device__ __forceinline__ void finish(RingPosition<stages> &at) {
        static_assert(arrivals == 256, "the filling side has copies alone");
        barrier_arrive(full + at.stage);
        at.advance();
    }

    // The reading side. Products see what asynchronous copies brought without a fence, unlike what stores wrote.
    __device__ __forceinline__ void wait_full(const RingPosition<stages> &at) { barrier_wait(full + at.stage, at.parity); }

    __device__ __forceinline__ void release(const RingPosition<stages> &at, int lane) { arrive_warp(empty + at.stage, lane); }

    // A stage that only other warpgroups read.
    __device__ __forceinline__ void skip(RingPosition<stages> &at, int lane) {
        wait_full(at);
        release(at, lane);
        at.advance();
    }
};

// A thread's copies are over before it ends.
__device__ __forceinline__ void finish_copies() {
    commit_copies();
    wait_copies<0>();
}

// Where a thread of a warpgroup is. Every part of a tile's work asks anew: what the compiler derives from it would otherwise be kept in
// registers through all of them.
struct Place {
    int group, warp, lane, g, t;

    __device__ __forceinline__ Place() {
        const unsigned index = thread_index();
        group = static_cast<int>(index / 128) - 1, warp = index / 32 % 4, lane = index % 32, g = index % 32 / 4, t = index % 4;
    }
};
