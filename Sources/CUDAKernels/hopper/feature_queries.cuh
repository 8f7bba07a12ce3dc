// What a state of features before a chunk gives the gradients of its queries, by runs of tiles where values are narrow. Else the gradients of 64
// features are under way while those of the 64 before become gradients of factors. The normalizer is one more step of k, its other operand the
// offsets.
#pragma once
#include "hopper/feature_runs.cuh"
#include "hopper/state_gradient.cuh"

#if DEGREE > 2

// The numbers of a stage of the state.
constexpr int STATE_STAGE = panel_numbers(FEATURES, VALUE_WIDTH + 8);

// Adds to the gradient of the warp's 16 queries, and takes the `count` stages of the state. `gradientRows` points to the first of the rows of
// dy, `rowOffsets` are those of the lane's rows g and g + 8.
template <int stageNumbers, typename Features, int stageCount, int groups>
__device__ __forceinline__ void multiply_state(
    const GradientTile &tile, const Features &features, Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages,
    const elem *gradientRows, const float (&rowOffsets)[2], const uint4 *words, int lane, int count
) {
    const RowOperands<VALUE_WIDTH, 64> operands(gradientRows, lane);
    StateRows<NORMALIZED> outputs;
#pragma unroll
    for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth)
#pragma unroll
        for (int n = 0; n < 4; ++n) outputs.steps[depth][n] = operands.steps[depth][n];
#if NORMALIZED
    // The offsets in two parts, one for each of the normalizer's two columns.
    const float high[2] = {
        bfloat16_to_float(float_to_bfloat16(rowOffsets[0])), bfloat16_to_float(float_to_bfloat16(rowOffsets[1]))};
    unsigned (&offsets)[4] = outputs.steps[VALUE_WIDTH / 16];
    const int t = lane % 4;
    offsets[0] = t == 0 ? pack_bfloat16(high[0], 0) : 0, offsets[1] = t == 0 ? pack_bfloat16(high[1], 0) : 0;
    offsets[2] = t == 0 ? pack_bfloat16(rowOffsets[0] - high[0], 0) : 0, offsets[3] = t == 0 ? pack_bfloat16(rowOffsets[1] - high[1], 0) : 0;
#endif
    if constexpr (HAS_RUNS) {
        outputs.make_numbers();
        multiply_runs<stageNumbers>(tile, features, outputs, ring, position, stages, words, lane, count, [](float2, const auto &) {});
    } else {
        StateGradient<Features> gradient(tile, features);
        auto multiply = [&](float (&products)[32], int stage) {
            const unsigned long long matrix = panel_descriptor(stages + stage * stageNumbers, FEATURES, false);
            products_begin();
#pragma unroll
            for (int depth = 0; depth < outputs.depth; ++depth)
                multiply_group<false>(
                    products, outputs.steps[depth], panel_advance(matrix, panel_offset(0, 16 * depth, FEATURES)), depth > 0);
            products_commit();
        };
        for (int n = 0; n < count; n += 2) {
            OtherFactors factors;
            const FeatureTile first(words[n]), second(words[n + 1]);
            ring.wait_full(position);
            factors.load(features, first, 0);
            multiply(gradient.even, position.stage);
            const RingPosition<stageCount> before = position;
            position.advance();
            ring.wait_full(position);
            multiply(gradient.odd, position.stage);
            products_wait<1>();
            products_use(gradient.even);
            ring.release(before, lane);
            gradient.add(gradient.even, first, factors);
            factors.load(features, second, 0);
            products_wait<0>();
            products_use(gradient.odd);
            ring.release(position, lane);
            position.advance();
            gradient.add(gradient.odd, second, factors);
        }
        gradient.flush();
    }
}

#endif
