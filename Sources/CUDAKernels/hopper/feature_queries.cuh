// What a state of features before a chunk gives the gradients of its queries. The gradients of 64 features are under way while those of the
// 64 before become gradients of factors; the normalizer is one more step of k, its other operand the offsets.
#pragma once
#include "hopper/state_gradient.cuh"

#if DEGREE > 2

// The numbers of a stage of the state.
constexpr int STATE_STAGE = panel_numbers(FEATURES, VALUE_WIDTH + 8);

// Adds to the gradient of the warp's 16 queries, and takes the `count` stages of the state. `gradientRows` points to the first of the rows of
// dy, `rowOffsets` are those of the lane's rows g and g + 8.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state(
    StateGradient<64> &gradient, Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages,
    const elem *gradientRows, const float (&rowOffsets)[2], const uint4 *words, int lane, int count
) {
    const RowOperands<VALUE_WIDTH, 64> outputs(gradientRows, lane);
#if NORMALIZED
    // The offsets in two parts, one for each of the normalizer's two columns.
    const float high[2] = {
        bfloat16_to_float(float_to_bfloat16(rowOffsets[0])), bfloat16_to_float(float_to_bfloat16(rowOffsets[1]))};
    const int t = lane % 4;
    const unsigned offsetRows[4] = {
        t == 0 ? pack_bfloat16(high[0], 0) : 0, t == 0 ? pack_bfloat16(high[1], 0) : 0,
        t == 0 ? pack_bfloat16(rowOffsets[0] - high[0], 0) : 0, t == 0 ? pack_bfloat16(rowOffsets[1] - high[1], 0) : 0};
#endif
    auto multiply = [&](float (&products)[32], int stage) {
        const unsigned long long matrix = panel_descriptor(stages + stage * stageNumbers, FEATURES, false);
        products_begin();
#pragma unroll
        for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth)
            multiply_group<false>(
                products, outputs.steps[depth], panel_advance(matrix, panel_offset(0, 16 * depth, FEATURES)), depth > 0);
#if NORMALIZED
        multiply_group<false>(products, offsetRows, panel_advance(matrix, panel_offset(0, VALUE_WIDTH, FEATURES)), true);
#endif
        products_commit();
    };
    for (int n = 0; n < count; n += 2) {
        OtherFactors factors;
        const unsigned first = words[n].x, second = words[n + 1].x;
        ring.wait_full(position);
        factors.load(gradient.features, first);
        multiply(gradient.even, position.stage);
        const RingPosition<stageCount> before = position;
        position.advance();
        ring.wait_full(position);
        multiply(gradient.odd, position.stage);
        products_wait<1>();
        products_use(gradient.even);
        ring.release(before, lane);
        gradient.add(gradient.even, first, factors);
        factors.load(gradient.features, second);
        products_wait<0>();
        products_use(gradient.odd);
        ring.release(position, lane);
        position.advance();
        gradient.add(gradient.odd, second, factors);
    }
}

#endif
