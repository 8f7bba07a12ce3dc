// Rows of results in the type of the inputs.
#pragma once
#include "common/elements.cuh"

// Two neighbouring numbers of a row that begins at element `row` and has `width` of them; those past the end are dropped.
__device__ __forceinline__ void store_pair(input *rows, size_t row, int column, int width, float first, float second) {
    if (column >= width) return;
    input *place = rows + row + column;
    if (column + 1 == width) {
        place[0] = to_input(first);
    } else if (width % 2 != 0) {
        place[0] = to_input(first);
        place[1] = to_input(second);
    } else {
#if INPUT == 0
        *reinterpret_cast<float2 *>(place) = make_float2(first, second);
#elif INPUT == 1
        *reinterpret_cast<unsigned *>(place) = float_to_float16(first) | static_cast<unsigned>(float_to_float16(second)) << 16;
#else
        *reinterpret_cast<unsigned *>(place) = pack_bfloat16(first, second);
#endif
    }
}
