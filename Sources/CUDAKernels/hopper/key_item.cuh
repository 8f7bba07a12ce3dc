// A tile of keys of the keys' backward kernel, as the warpgroup that brings it and those that multiply know it.
#pragma once
#include "hopper/panels.cuh"

// Keys of a tile.
constexpr int ROWS = 64 * GROUPS;

// Tiles of queries of one head from a tile of keys to the end of the chunk.
__device__ __forceinline__ int places_of(int chunkEnd, int firstToken) { return (chunkEnd - firstToken + QUERIES - 1) / QUERIES; }

// Whether the state after a chunk of these flags has a gradient.
__device__ __forceinline__ bool receives_state(int flags, int hasFinalGradient) { return STATES && (hasFinalGradient || !(flags & 2)); }

// What a block that stays on its multiprocessor takes one after another: a tile of keys of one head.
struct KeyItem {
    int firstToken, count, chunk, chunkEnd, head, places;
    bool hasState;

    __device__ __forceinline__ KeyItem(int index, const int4 *tiles, const int4 *chunks, int keyHeads, int hasFinalGradient) {
        const int4 tile = tiles[index / keyHeads];
        firstToken = tile.x, count = tile.y, chunk = tile.z;
        head = index % keyHeads;
        const int4 span = chunks[chunk];
        chunkEnd = span.x + span.y;
        places = places_of(chunkEnd, firstToken);
        hasState = receives_state(span.w, hasFinalGradient);
    }
};

// What warpgroups that multiply know of the item, after the gates of its keys. They read it where they need it: registers are few.
struct TileFacts {
    const int *numbers;

    __device__ __forceinline__ explicit TileFacts(const float2 *tileGates) : numbers(reinterpret_cast<const int *>(tileGates + ROWS + 1)) {}

    __device__ __forceinline__ int firstToken() const { return numbers[0]; }
    __device__ __forceinline__ int count() const { return numbers[1]; }
    __device__ __forceinline__ int exponent() const { return numbers[2]; }
    __device__ __forceinline__ int places() const { return places_of(numbers[4] + numbers[5], firstToken()); }
    __device__ __forceinline__ bool has_state(int hasFinalGradient) const { return receives_state(numbers[3], hasFinalGradient); }
};
