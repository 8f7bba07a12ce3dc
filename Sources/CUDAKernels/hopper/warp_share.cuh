// How the warps of hopper/state_update.cu share the numbers of a state: GROUPS warpgroups a block of TILES tiles of 64 features each, and behind those
// of all features, where the normalizer has tiles of its own, a warpgroup for each of these.
#pragma once
#include "common/expansion.cuh"
#include "hopper/panels.cuh"

// Whether the normalizer has tiles of its own, and how many for the same columns.
constexpr bool HAS_TILES = DEGREE == 2 && VALUE_WIDTH % 64 == 0;
constexpr int ROW_TILES = (WIDTH + 63) / 64, NORMALIZER_TILES = ROW_TILES * ((WIDTH + VALUE_WIDTH - 1) / VALUE_WIDTH);
constexpr int COLUMNS = HAS_TILES ? VALUE_WIDTH : VALUE_WIDTH + 8;

// What a warp has of a state: blocks of features from `firstBlock` on, or, of the normalizer, 16 rows of a tile. Made anew where it is needed: kept,
// it would take registers from the products.
struct WarpShare {
    Place at;
    int firstBlock, firstRow, firstColumn, count;
    bool isNormalizer;

    __device__ __forceinline__ explicit WarpShare(int blockCount) {
        const int warpgroup = blockIdx.x * GROUPS + at.group, tile = warpgroup - (blockCount + 4 * TILES - 1) / (4 * TILES);
        isNormalizer = HAS_TILES && tile >= 0;
        firstBlock = (4 * warpgroup + at.warp) * TILES;
        firstRow = 64 * (tile % ROW_TILES) + 16 * at.warp, firstColumn = WIDTH > VALUE_WIDTH ? VALUE_WIDTH * (tile / ROW_TILES) : 0;
        count = !isNormalizer ? min(blockCount - firstBlock, TILES) : firstRow < WIDTH && tile < NORMALIZER_TILES ? 1 : 0;
    }

    // body(m, n, place) of every number of the lane: n of block m, and where it stands in a state of features.
    template <typename Body>
    __device__ __forceinline__ void forFeatures(Body body) const {
#pragma unroll
        for (int m = 0; m < TILES; ++m) {
            if (isNormalizer || m >= count) continue;
            const int place = ((firstBlock + m) * 16 + at.g) * (VALUE_WIDTH + 8) + 2 * at.t;
#pragma unroll
            for (int n = 0; n < COLUMNS / 2; ++n) body(m, n, place + n / 2 % 2 * 8 * (VALUE_WIDTH + 8) + n / 4 * 8 + n % 2);
        }
    }

    // body(n, place, isFirst) of every number of the normalizer, which features of a group have twice.
    template <typename Body>
    __device__ __forceinline__ void forNormalizer(Body body) const {
        if (!isNormalizer || count == 0) return;
        const int rowGroup = firstRow / 16;
#pragma unroll
        for (int n = 0; n < COLUMNS / 2; ++n) {
            const int row = at.g + n / 2 % 2 * 8, column = n / 4 % 2 * 8 + 2 * at.t + n % 2, columnGroup = firstColumn / 16 + n / 8;
            if (columnGroup >= WIDTH / 16) continue;
            const bool isFirst = columnGroup <= rowGroup;
            const int feature = isFirst ? pair_feature(16 * columnGroup + column, rowGroup, row)
                                        : pair_feature(16 * rowGroup + row, columnGroup, column);
            body(n, feature * (VALUE_WIDTH + 8) + VALUE_WIDTH, isFirst);
        }
    }
};
