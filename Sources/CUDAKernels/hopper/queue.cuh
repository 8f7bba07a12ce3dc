// The items of a kernel whose blocks stay on their multiprocessors, taken one after another as blocks get free: those that start late, because
// another kernel has their multiprocessors, take fewer.
#pragma once
#include "hopper/panels.cuh"

// `slots` items, as many as may be under way in a block: one warpgroup takes them, the others follow. `Entry` is what they are told of one.
template <int slots, typename Entry>
struct ItemQueue {
    Entry *items;
    unsigned long long *full;

    __device__ __forceinline__ ItemQueue(Entry *items, unsigned long long *barriers) : items(items), full(barriers) {}

    __device__ __forceinline__ void initialize() const {
        for (int n = 0; n < slots; ++n) barrier_init(full + n, 1);
    }

    // The item in a slot.
    __device__ __forceinline__ const Entry &read(const RingPosition<slots> &at) const {
        barrier_wait(full + at.stage, at.parity);
        return items[at.stage];
    }

    // The side that takes them, which has one asked for ahead.
    struct Taker {
        const ItemQueue &queue;
        int *taken, next;

        __device__ __forceinline__ Taker(const ItemQueue &queue, int *taken, int thread) : queue(queue), taken(taken), next(0) {
            if (thread == 0) next = atomicAdd(taken, 1);
        }

        // Into a slot that nobody reads any more, as `make` has it by its number. From the number of items on there is none.
        template <typename Make>
        __device__ __forceinline__ const Entry &take(const RingPosition<slots> &at, int thread, const Make &make) {
            if (thread == 0) {
                queue.items[at.stage] = make(next);
                barrier_arrive(queue.full + at.stage);
                next = atomicAdd(taken, 1);
            }
            return queue.read(at);
        }
    };
};
