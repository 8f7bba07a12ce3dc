// Tiles in shared memory as panels of 8 columns (common/hopper.cuh), and the ring of stages by which a warpgroup brings them while others
// multiply.
#pragma once
#include "common/elements.cuh"
#include "common/hopper.cuh"

// Number (row, column) of a matrix of `rows` rows.
__device__ __forceinline__ int panel_place(int row, int column, int rows) { return 8 * (column / 8 * rows + row) + column % 8; }

// `rows` rows of `panels` times 8 numbers, `stride` apart, by a warpgroup. Rows from `valid` on become zero. Eight neighbouring threads
// write the 128 bytes of eight rows of a panel.
template <int rows, int panels>
__device__ __forceinline__ void copy_panels(elem *shared, const elem *global, size_t stride, int valid) {
    constexpr int copies = rows * panels;
    static_assert(rows % 8 == 0, "panels are whole matrices of eight rows");
#pragma unroll 2
    for (int first = 0; first < copies; first += 128) {
        const int n = first + threadIdx.x % 128;
        if (copies % 128 != 0 && n >= copies) break;
        const int row = n % 8 + n / (8 * panels) * 8, panel = n / 8 % panels;
        const bool isValid = row < valid;
        copy_16(shared + 8 * (panel * rows + row), global + (isValid ? row : 0) * stride + panel * 8, isValid);
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
__device__ __forceinline__ void arrive_warp(unsigned long long *barrier) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barrier);
}

// `stages` of tiles: barriers that a warpgroup fills them, and that `groups` warpgroups have read them.
template <int stages, int groups>
struct Ring {
    unsigned long long *full, *empty;

    __device__ __forceinline__ explicit Ring(unsigned long long *barriers) : full(barriers), empty(barriers + stages) {}

    __device__ __forceinline__ void initialize() {
        for (int n = 0; n < stages; ++n) {
            barrier_init(full + n, 4);
            barrier_init(empty + n, 4 * groups);
        }
    }

    __device__ __forceinline__ void wait_full(const RingPosition<stages> &at) { barrier_wait(full + at.stage, at.parity); }
    __device__ __forceinline__ void wait_empty(const RingPosition<stages> &at) { barrier_wait(empty + at.stage, at.parity ^ 1); }
    __device__ __forceinline__ void release(const RingPosition<stages> &at) { arrive_warp(empty + at.stage); }
};

// The filling side: up to `pending` stages of copies are under way before the oldest is passed on.
template <int stages, int groups, int pending>
struct RingFiller {
    static_assert(pending <= stages - 2, "readers keep one stage while they wait for the next");
    Ring<stages, groups> ring;
    RingPosition<stages> filling, passing;
    int underway = 0;

    __device__ __forceinline__ explicit RingFiller(const Ring<stages, groups> &ring) : ring(ring) {}

    // The stage to copy to.
    __device__ __forceinline__ int begin() {
        ring.wait_empty(filling);
        return filling.stage;
    }

    __device__ __forceinline__ void pass() {
        fence_products();
        arrive_warp(ring.full + passing.stage);
        passing.advance();
        --underway;
    }

    // After the copies of the stage.
    __device__ __forceinline__ void end() {
        commit_copies();
        filling.advance();
        if (++underway > pending) {
            wait_copies<pending>();
            pass();
        }
    }

    __device__ __forceinline__ void finish() {
        wait_copies<0>();
        while (underway > 0) pass();
    }
};
