// Rows of results from the sums of products to memory, by way of shared memory: a lane has pairs of neighbouring numbers, and memory wants 16
// bytes of a lane and whole rows of a warp.
#pragma once
#include "common/output.cuh"
#include "hopper/row_operands.cuh"

// A warp's 16 rows of sums, the first `valid` of them, `width` numbers of each, to `rows`, which are `stride` apart. `room` is 16 rows of a panel
// that are the warp's alone.
template <int columns>
__device__ __forceinline__ void store_rows(
    elem *room, const float (&sums)[columns / 2], input *rows, size_t stride, int valid, int width, int lane
) {
    const bool isWhole = width % 8 == 0 && (reinterpret_cast<size_t>(rows) | stride * sizeof(input)) % 16 == 0;
    // Lanes of a row, and the rows that all lanes store at once.
    constexpr int pieces = columns > 32 ? 8 : columns > 16 ? 4 : 2, rowsAtOnce = 32 / pieces;
    const int row = lane / pieces, column = lane % pieces * 8;
#pragma unroll
    for (int first = 0; first < columns; first += 64) {
        __syncwarp();
        store_panel(room, sums, first, columns - first, lane);
        __syncwarp();
        const int left = width - first - column;
        input *place = rows + row * stride + first + column;
        if (isWhole) {
#pragma unroll
            for (int n = 0; n < 16; n += rowsAtOnce)
                if (row + n < valid && left > 0)
                    *reinterpret_cast<uint4 *>(place + n * stride) =
                        *reinterpret_cast<const uint4 *>(room + panel_place(row + n, column, 16));
        } else {
#pragma unroll 1
            for (int n = 0; row + n < min(valid, 16); n += rowsAtOnce)
                for (int i = 0; i < min(left, 8); ++i) place[n * stride + i] = room[panel_place(row + n, column, 16) + i];
        }
    }
}
