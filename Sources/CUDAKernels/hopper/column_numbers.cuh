// A number for every column of a tile of 64, in shared memory in the order in which the lanes of a product's sums take them: lane 4g + t has the
// columns 8n + 2t and 8n + 2t + 1.
#pragma once
#include "common/ptx.cuh"

// Where the number of a column stands. Four at once are read by all lanes, those of lanes t and t + 2 from different banks.
__device__ __forceinline__ int column_place(int column) {
    const int n = column / 8 % 8, t = column % 8 / 2;
    return column / 64 * 64 + 16 * t + (n / 2 ^ t / 2) * 4 + n % 2 * 2 + column % 2;
}

// Those of a lane, in the order of its columns.
__device__ __forceinline__ void load_columns(float (&numbers)[16], const float *tile, int t) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
        const float4 four = *reinterpret_cast<const float4 *>(tile + 16 * t + (n ^ t / 2) * 4);
        numbers[4 * n] = four.x, numbers[4 * n + 1] = four.y, numbers[4 * n + 2] = four.z, numbers[4 * n + 3] = four.w;
    }
}
