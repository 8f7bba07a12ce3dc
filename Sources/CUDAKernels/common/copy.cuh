// Tiles from global to shared memory by asynchronous copies of 16 bytes.
#pragma once
#include "common/fragments.cuh"

// `rows` rows of `width` elements, `globalStride` apart, to rows `sharedStride` apart. Rows from `valid` on become zero.
template <int rows, int width, int threads>
__device__ __forceinline__ void copy_tile(
    elem *shared, int sharedStride, const elem *global, size_t globalStride, int valid
) {
    constexpr int perCopy = 16 / sizeof(elem), perRow = width / perCopy;
    static_assert(width % perCopy == 0, "rows are whole copies");
#pragma unroll 4
    for (int n = threadIdx.x; n < rows * perRow; n += threads) {
        const int row = n / perRow, column = n % perRow * perCopy;
        const bool isValid = row < valid;
        copy_16(shared + row * sharedStride + column, global + (isValid ? row : 0) * globalStride + column, isValid);
    }
}
