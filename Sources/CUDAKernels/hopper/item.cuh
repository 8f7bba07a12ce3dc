// What a block that stays on its multiprocessor takes one after another: a tile of queries of one head.
#pragma once

struct alignas(16) Item {
    int firstToken, count, chunk, chunkStart, head, keyHead;
    // Whether the chunk's first state is not zero.
    bool hasState;

    Item() = default;

    // Without tokens where there is none of this index.
    __device__ __forceinline__ Item(
        int index, int itemCount, const int4 *tiles, const int4 *chunks, int queryHeads, int keyHeads, int hasInitialState
    ) {
        count = 0;
        if (index >= itemCount) return;
        const int4 tile = tiles[index / queryHeads];
        firstToken = tile.x, count = tile.y, chunk = tile.z, chunkStart = tile.w;
        head = index % queryHeads, keyHead = head / (queryHeads / keyHeads);
        hasState = STATES && (hasInitialState || !(chunks[chunk].w & 1));
    }

    // The token after the last.
    __device__ __forceinline__ int end() const { return firstToken + count; }
};
static_assert(sizeof(Item) == 32, "as the host leaves room for it");
