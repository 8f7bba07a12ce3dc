// What a symmetric state before a chunk gives the gradients of its queries.
#pragma once
#include "hopper/symmetric_gradient.cuh"

#if DEGREE <= 2

// The tiles of first factors of a part.
template <typename Columns, int part, int stageNumbers, int stageCount, int groups, int columns>
__device__ __forceinline__ void multiply_tiles(
    float (&sums)[WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages, const elem *rows,
    const RowOperands<columns, 64> &queryRows, const RowOperands<VALUE_WIDTH, 64> &outputs
) {
    constexpr int tiles = Columns::tiles(part), tileSteps = Columns::rows(part) / 16, stageRows = 16 * tiles * tileSteps;
    constexpr int column = Columns::begin(part) / 16, origin = Columns::first / 16;
#pragma unroll 1
    for (int first = 0; first < PART_FIRSTS; first += FIRSTS_AT_ONCE) {
        const Place at;
        FirstFactors<64> factors;
        factors.load(rows, PART_FIRSTS * part + first, at.lane);
        FactorGradients<part> gradients;
        repeat<FIRSTS_AT_ONCE / tiles>([&](auto stageNumber) {
            constexpr int n = tiles * decltype(stageNumber)::value;
            float products[stageRows / 2];
            ring.wait_full(position);
            const unsigned long long matrix = panel_descriptor(stages + position.stage * stageNumbers, stageRows, false);
            products_begin();
            outputs.multiply(products, matrix);
            products_commit();
            products_wait<0>();
            products_use(products);
            ring.release(position, at.lane);
            position.advance();
            repeat<tiles>([&](auto tileNumber) {
                constexpr int tile = decltype(tileNumber)::value;
                gradients.template add<column, tileSteps, tile * tileSteps, origin>(sums, products, n + tile, factors.pair(n + tile), queryRows);
            });
        });
        gradients.finish(sums, part % HALVES * PART_FIRSTS + first, at.t);
    }
}

// The tiles of pairs.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_pairs(
    float (&sums)[WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages, const elem *rows,
    const RowOperands<VALUE_WIDTH, 64> &outputs
) {
    repeat<PAIR_TILES>([&](auto group) {
        const Place at;
        float products[32];
        ring.wait_full(position);
        const unsigned long long matrix = panel_descriptor(stages + position.stage * stageNumbers, 64, false);
        products_begin();
        outputs.multiply(products, matrix);
        products_commit();
        products_wait<0>();
        products_use(products);
        ring.release(position, at.lane);
        position.advance();
        add_pair_gradients<decltype(group)::value>(sums, products, [&](int first) {
            FirstFactors<64> factors;
            factors.load(rows, first, at.lane);
            return factors;
        });
    });
}

// Adds to the sums of the warp's 16 queries, but for the factor p, and takes the stages of the state. `rows` and `gradientRows` point to the
// first of the rows of queries and of dy, `rowOffsets` are those of the lane's rows g and g + 8.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state(
    float (&sums)[WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages, const elem *rows,
    const elem *gradientRows, const float (&rowOffsets)[2], int lane, bool hasState
) {
    const RowOperands<VALUE_WIDTH, 64> outputs(gradientRows, lane);
    if (hasState) repeat<WINDOWS>([&](auto window) {
        using Columns = Window<decltype(window)::value>;
        const RowOperands<Columns::columns, 64> queryRows(rows + 64 * Columns::first, lane);
        repeat<Columns::parts>([&](auto part) {
            if constexpr (Columns::rows(decltype(part)::value) > 0)
                multiply_tiles<Columns, decltype(part)::value, stageNumbers>(sums, ring, position, stages, rows, queryRows, outputs);
        });
        if constexpr (HAS_HALVES) multiply_pairs<stageNumbers>(sums, ring, position, stages, rows, outputs);
    });
#if NORMALIZED
    if (!hasState) return;
    const Place at;
    repeat<WINDOWS>([&](auto window) {
        using Columns = Window<decltype(window)::value>;
        float products[Columns::columns / 2];
        multiply_normalizer<stageNumbers>(products, ring, position, stages, at.lane, [&](unsigned (&operand)[4], int n) {
            RowOperands<WIDTH, 64>::load(operand, rows, n, at.lane);
        });
#pragma unroll
        for (int n = 0; n < Columns::columns / 2; ++n) sums[Columns::first / 2 + n] += rowOffsets[n / 2 % 2] * products[n];
    });
#endif
}

#endif
