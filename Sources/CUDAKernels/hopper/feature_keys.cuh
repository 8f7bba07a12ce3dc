// What the gradient of a state of features after a chunk gives the gradients of its keys and values, by runs of tiles where values are narrow.
#pragma once
#include "hopper/feature_runs.cuh"
#include "hopper/key_item.cuh"
#include "hopper/state_gradient.cuh"

#if DEGREE > 2

// The numbers of a stage of the state.
constexpr int STATE_STAGE = panel_numbers(FEATURES, VALUE_WIDTH + 8);
// Of a warp, ∂k of the state.
constexpr int WAITING_SUMS = STATE_GRADIENT_TILE;

// Adds to the sums of the warpgroup's 64 values and to the gradient of the warp's 16 keys, and takes the `count` stages of the state.
// `values` points to the first of the warpgroup's rows. `hasNormalizer`: whether the normalizer has a gradient though nothing is normalized.
template <int stageNumbers, typename Features, int stageCount, int groups>
__device__ __forceinline__ void multiply_state_gradient(
    const GradientTile &tile, const Features &features, float (&valueSums)[VALUE_WIDTH / 2], Ring<stageCount, groups> &ring,
    RingPosition<stageCount> &position, const elem *stages, const elem *values, const uint4 *words, const Place &at, int count,
    bool hasNormalizer
) {
    // The normalizer's column follows the others, its factor is 1.
    const unsigned one = at.t == 0 ? 0x3f80 : 0;
    if constexpr (HAS_RUNS) {
        auto multiplyRuns = [&](auto rows) {
#pragma unroll
            for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth)
                RowOperands<VALUE_WIDTH, ROWS>::load(rows.steps[depth], values + 64 * 16 * at.warp, depth, at.lane);
            if constexpr (rows.depth > VALUE_WIDTH / 16) {
                unsigned (&ones)[4] = rows.steps[VALUE_WIDTH / 16];
                ones[0] = ones[1] = one, ones[2] = ones[3] = 0;
            }
            rows.make_numbers();
            multiply_runs<stageNumbers>(
                tile, features, rows, ring, position, stages, words, at.lane, count, [&](float2 others, const auto &outputs) {
#pragma unroll
                    for (int n = 0; n < VALUE_WIDTH / 2; ++n) valueSums[n] += (n / 2 % 2 == 0 ? others.x : others.y) * outputs[n];
                });
        };
        // Rows of 16 have no registers for a loop of their own without it.
        if (NORMALIZED || WIDTH == 16 || hasNormalizer) {
            multiplyRuns(StateRows<true>());
        } else {
            multiplyRuns(StateRows<false>());
        }
    } else {
        StateGradient<Features> gradient(tile, features);
        FeatureFactors<1> factors(features, FeatureTile(words[0]));
        auto multiplyValues = [&](float (&gradients)[FEATURES / 2], int stage) {
            const unsigned long long rows = panel_descriptor(values, ROWS, false);
            const unsigned long long state = panel_descriptor(stages + stage * stageNumbers, FEATURES, false);
            unsigned ones[1][4] = {{one, one, 0, 0}};
            operands_ready(ones);
            products_begin();
#pragma unroll
            for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth)
                multiply_group<false>(
                    gradients, panel_advance(rows, panel_offset(0, 16 * depth, ROWS)),
                    panel_advance(state, panel_offset(0, 16 * depth, FEATURES)), depth > 0);
            multiply_group<false>(gradients, ones[0], panel_advance(state, panel_offset(0, VALUE_WIDTH, FEATURES)), true);
            products_commit();
        };
        auto multiplyFeatures = [&](const unsigned (&a)[4][4], int stage) {
            const unsigned long long state = panel_descriptor(stages + stage * stageNumbers, FEATURES, true);
#pragma unroll
            for (int n = 0; n < 4; ++n) multiply_group<true>(valueSums, a[n], panel_advance(state, panel_offset(16 * n, 0, FEATURES)), true);
        };
        // Gradients of features of one stage are taken apart during products of the other, and those during products of features.
        for (int n = 0; n < count; n += 2) {
            unsigned evenFeatures[4][4], oddFeatures[4][4];
            const RingPosition<stageCount> first = position;
            ring.wait_full(position);
            multiplyValues(gradient.even, position.stage);
            position.advance();
            ring.wait_full(position);
            multiplyValues(gradient.odd, position.stage);
            const FeatureTile even(words[n]), odd(words[n + 1]);
            factors.load(features, even);
            factors.multiply(evenFeatures, 0);
            products_wait<1>();
            products_use(gradient.even);
            gradient.add(gradient.even, even, factors.others[0]);
            factors.load(features, odd);
            factors.multiply(oddFeatures, 0);
            operands_ready(evenFeatures);
            operands_ready(oddFeatures);
            products_begin();
            multiplyFeatures(evenFeatures, first.stage);
            multiplyFeatures(oddFeatures, position.stage);
            products_commit();
            products_wait<1>();
            products_use(gradient.odd);
            gradient.add(gradient.odd, odd, factors.others[0]);
            products_wait<0>();
            operands_ready(evenFeatures);
            operands_ready(oddFeatures);
            ring.release(first, at.lane);
            ring.release(position, at.lane);
            position.advance();
        }
        products_use(valueSums);
        gradient.flush();
    }
}

#endif
