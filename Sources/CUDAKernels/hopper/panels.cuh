// Tiles in shared memory as panels of 8 columns (common/hopper.cuh), and the ring of stages by which a warpgroup brings them while others
// multiply.
#pragma once
#include "common/elements.cuh"
#include "common/hopper.cuh"

// The rows from one panel to the next of a matrix of `rows` rows: one is left out, so that the eight neighbours of a row, in eight panels,
// are in different banks.
constexpr int panel_pitch(int rows) { return rows + 1; }

// The numbers that a matrix takes.
constexpr int panel_numbers(int rows, int columns) { return panel_pitch(rows) * columns; }

// Where number (row, column) of a matrix of `rows` rows stands.
__device__ __forceinline__ int panel_place(int row, int column, int rows) {
    return 8 * (column / 8 * panel_pitch(rows) + row) + column % 8;
}

// `rows` rows of `panels` times 8 numbers, `stride` apart, by a warpgroup. Rows from `valid` on become zero. Neighbouring threads read
// neighbouring numbers.
template <int rows, int panels>
__device__ __forceinline__ void copy_panels(elem *shared, const elem *global, size_t stride, int valid, int thread) {
    constexpr int copies = rows * panels;
    if constexpr (128 % panels == 0) {
        // A thread stays in its panel.
        const int row = thread / panels, panel = thread % panels;
        const elem *source = global + row * stride + panel * 8;
        elem *destination = shared + panel_place(row, panel * 8, rows);
        if (valid >= rows) {
#pragma unroll
            for (int n = 0; n < rows; n += 128 / panels)
                if (n + 128 / panels <= rows || row + n < rows) copy_16(destination + 8 * n, source + n * stride, true);
        } else {
#pragma unroll 1
            for (int n = 0; n < rows; n += 128 / panels) {
                const bool isValid = row + n < valid;
                if (row + n < rows) copy_16(destination + 8 * n, isValid ? source + n * stride : global, isValid);
            }
        }
    } else {
#pragma unroll
        for (int first = 0; first < copies; first += 128) {
            const int n = first + thread, row = n / panels, panel = n % panels;
            const bool isValid = row < valid;
            if (first + 128 <= copies || n < copies)
                copy_16(shared + panel_place(row, panel * 8, rows), global + (isValid ? row * stride : 0) + panel * 8, isValid);
        }
    }
}

// Where a warpgroup is in the ring: positions count on over all tiles of a block.
template <int stages>
struct RingPosition {
    int stage = 0, parity = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == stages) stage = 0, parity ^= 1;
    }

    // The stage before.
    __device__ __forceinline__ RingPosition before() const {
        RingPosition other;
        other.stage = stage == 0 ? stages - 1 : stage - 1;
        other.parity = stage == 0 ? parity ^ 1 : parity;
        return other;
    }
};

// A warp has done its part.
__device__ __forceinline__ void arrive_warp(unsigned long long *barrier, int lane) {
    __syncwarp();
    if (lane == 0) barrier_arrive(barrier);
}

// `stages` of tiles: barriers that a warpgroup's copies have filled them, and that `groups` warpgroups have read them.
template <int stages, int groups>
struct Ring {
    unsigned long long *full, *empty;

    __device__ __forceinline__ explicit Ring(unsigned long long *barriers) : full(barriers), empty(barriers + stages) {}

    __device__ __forceinline__ void initialize() {
        for (int n = 0; n < stages; ++n) {
            barrier_init(full + n, 128);
            barrier_init(empty + n, 4 * groups);
        }
    }

    // The filling side: a stage to copy to, and its end. The copies before it, of this stage and of anything else, are in it.
    __device__ __forceinline__ int begin(const RingPosition<stages> &at) {
        barrier_wait(empty + at.stage, at.parity ^ 1);
        return at.stage;
    }

    __device__ __forceinline__ void end(RingPosition<stages> &at) {
        barrier_arrive_after_copies(full + at.stage);
        at.advance();
    }

    // The reading side. Products see what asynchronous copies brought without a fence, unlike what stores wrote.
    __device__ __forceinline__ void wait_full(const RingPosition<stages> &at) { barrier_wait(full + at.stage, at.parity); }

    __device__ __forceinline__ void release(const RingPosition<stages> &at, int lane) { arrive_warp(empty + at.stage, lane); }
};

// A thread's copies are over before it ends.
__device__ __forceinline__ void finish_copies() {
    commit_copies();
    wait_copies<0>();
}
