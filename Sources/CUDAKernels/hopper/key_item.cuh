// A tile of keys of the keys' backward kernel, as the warpgroup that brings it and those that multiply know it.
#pragma once
#include "hopper/panels.cuh"

// Keys of a tile.
constexpr int ROWS = 64 * GROUPS;

// What a block that stays on its multiprocessor takes one after another: a tile of keys of one head.
struct alignas(16) KeyItem {
    // `places`: tiles of queries of one head from the tile of keys to the end of the chunk. `exponent`: of the chunk's keys.
    int firstToken, count, chunk, chunkEnd, head, places, exponent;
    // Whether the state after the chunk has a gradient.
    bool hasState;

    // Without keys where there is none of this index.
    __device__ __forceinline__ KeyItem(
        int index, int itemCount, const int4 *tiles, const int4 *chunks, const int *keyExponents, int keyHeads, int hasFinalGradient
    ) {
        count = 0;
        if (index >= itemCount) return;
        const int4 tile = tiles[index / keyHeads];
        firstToken = tile.x, count = tile.y, chunk = tile.z;
        head = index % keyHeads;
        const int4 span = chunks[chunk];
        exponent = keyExponents[static_cast<size_t>(chunk) * keyHeads + head];
        chunkEnd = span.x + span.y;
        places = (chunkEnd - firstToken + QUERIES - 1) / QUERIES;
        hasState = STATES && (hasFinalGradient || !(span.w & 2));
    }
};
static_assert(sizeof(KeyItem) == 32, "as the host leaves room for it");
