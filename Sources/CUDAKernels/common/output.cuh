// Rows of results in the type of the inputs, and what their sums are multiplied by.
#pragma once
#include "common/elements.cuh"

// One over the normalizer of a row, lift · factor, and its place in the gradients. A row whose weights are all zero answers 0, and its
// gradients are 0. The reciprocal of a sum near the end of the range is formed in two steps, and its place in the gradients stays finite.
template <typename Number>
struct RowScale {
    Number lift, factor;
    float statistic;

    __device__ __forceinline__ explicit RowScale(Number total) {
        const bool isTiny = total < 1e-30f;
        lift = isTiny ? 1.8446744e19f : 1;
        factor = total == 0 ? 0 : 1 / (total * lift);
        statistic = isTiny ? fminf(static_cast<float>(factor), 1e18f) * 1.8446744e19f : static_cast<float>(factor);
    }
};

// The factor of the gradients of a row without a normalizer, within the range.
__device__ __forceinline__ float unnormalized_statistic(float scale, int exponent) {
    return fmaxf(-3e38f, fminf(3e38f, ldexpf(scale, exponent)));
}

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
