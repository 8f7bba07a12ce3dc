// What a state of features before a chunk gives the outputs of its queries.
#pragma once
#include "hopper/features.cuh"

#if DEGREE > 2

// Adds to the sums of the warpgroup's 64 queries of each set, and takes the first `count` stages of the state, all of `allCount` or none.
// `rows` points to the first of the warp's rows in a matrix of `matrixRows`, sets are `setNumbers` apart, `room` is for their pairs.
template <int matrixRows, int setNumbers, int stageNumbers, int sets, int stageCount, int groups>
__device__ __forceinline__ void multiply_state(
    float (&sums)[sets][(VALUE_WIDTH + 8) / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages,
    const elem *rows, unsigned *room, const uint4 *words, int lane, int count, int allCount
) {
    const RowFeatures<matrixRows, sets, setNumbers> features(rows, room, lane);
    // The features of one stage, or of one set of rows, are made while the products of the other are under way, from factors that are
    // loaded before.
    constexpr int stagesOfTurn = 3 - sets, lastSet = sets - 1;
    unsigned even[4][4], odd[4][4];
    FeatureFactors<sets> factors(features, FeatureTile(words[0]));
    factors.multiply(even, 0);
    if (sets == 1) factors.load(features, FeatureTile(words[1]));
    FeatureTile next(words[min(stagesOfTurn, allCount - 1)]);
    auto multiply = [&](float (&setSums)[(VALUE_WIDTH + 8) / 2], const unsigned (&a)[4][4]) {
        const unsigned long long state = panel_descriptor(stages + position.stage * stageNumbers, FEATURES, true);
        products_begin();
#pragma unroll
        for (int n = 0; n < 4; ++n) multiply_group<true>(setSums, a[n], panel_advance(state, panel_offset(16 * n, 0, FEATURES)), true);
        products_commit();
    };
    for (int n = 0; n < count; n += stagesOfTurn) {
        const RingPosition<stageCount> first = position;
        ring.wait_full(position);
        multiply(sums[0], even);
        factors.multiply(odd, lastSet);
        factors.load(features, next);
        next = FeatureTile(words[min(n + stagesOfTurn + 1, count - 1)]);
        if constexpr (sets == 1) {
            position.advance();
            ring.wait_full(position);
        }
        multiply(sums[lastSet], odd);
        products_wait<1>();
        if constexpr (sets == 1) ring.release(first, lane);
        factors.multiply(even, 0);
        if constexpr (sets == 1) {
            factors.load(features, next);
            next = FeatureTile(words[min(n + 4, count - 1)]);
        }
        operands_ready(even);
        products_wait<0>();
        ring.release(position, lane);
        position.advance();
    }
#pragma unroll
    for (int set = 0; set < sets; ++set) products_use(sums[set]);
}

#endif
