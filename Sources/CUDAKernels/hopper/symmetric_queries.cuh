// What a symmetric state before a chunk gives the gradients of its queries.
#pragma once
#include "hopper/symmetric_gradient.cuh"

#if DEGREE <= 2

// The numbers of a stage of the state.
constexpr int STATE_STAGE = PrefixTiles::largest > NORMALIZER_PANEL ? PrefixTiles::largest : NORMALIZER_PANEL;

// Adds to the sums of the warp's 16 queries, but for the factor p, and takes the stages of the state. `rows` and `gradientRows` point to the
// first of the rows of queries and of dy, `rowOffsets` are those of the lane's rows g and g + 8.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state(
    float (&sums)[WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages, const elem *rows,
    const elem *gradientRows, const float (&rowOffsets)[2], int lane, bool hasState
) {
    const RowOperands<VALUE_WIDTH, 64> outputs(gradientRows, lane);
    if (hasState) repeat<FIRST_GROUPS>([&](auto group) {
        constexpr int skipped = decltype(group)::value, tileRows = PrefixTiles::rows(skipped);
        constexpr int tiles = PrefixTiles::count(skipped, stageNumbers), parts = parts_of_tile(skipped);
#pragma unroll 1
        for (int first = 0; first < GROUP_FIRSTS; first += FIRSTS_AT_ONCE) {
            const Place at;
            FirstFactors<64> factors;
            factors.load(rows, 16 * skipped + first, at.lane);
            const KeptOperands<WIDTH, 64, KEEPS_ROWS> queryRows(rows, at.lane);
            FactorGradients<skipped> gradients;
            repeat<FIRSTS_AT_ONCE * parts>([&](auto unit) {
                constexpr int n = decltype(unit)::value / parts, part = decltype(unit)::value % parts;
                float products[part_columns(skipped, part) / 2];
                if (n % tiles == 0 && part == 0) ring.wait_full(position);
                const unsigned long long matrix =
                    panel_descriptor(stages + position.stage * stageNumbers + n % tiles * PrefixTiles::numbers(skipped), tileRows, false);
                products_begin();
#pragma unroll
                for (int step = 0; step < VALUE_WIDTH / 16; ++step)
                    multiply_group<false>(
                        products, outputs.steps[step], panel_advance(matrix, panel_offset(PART_COLUMNS * part, 16 * step, tileRows)), step > 0);
                products_commit();
                products_wait<0>();
                products_use(products);
                if (part + 1 == parts && (n + 1) % tiles == 0) {
                    ring.release(position, lane);
                    position.advance();
                }
                gradients.template add<part>(sums, products, n, factors.pair(n), queryRows);
            });
            gradients.finish(sums, first, at.t);
        }
    });
#if NORMALIZED
    if (!hasState) return;
    const Place at;
    repeat<NORMALIZER_PANELS>([&](auto panel) {
        constexpr int first = 64 * decltype(panel)::value, width = WIDTH - first < 64 ? WIDTH - first : 64;
        float products[width / 2];
        ring.wait_full(position);
        multiply_normalizer(
            products, stages + position.stage * stageNumbers,
            [&](unsigned (&operand)[4], int n) { RowOperands<WIDTH, 64>::load(operand, rows, n, at.lane); });
        ring.release(position, at.lane);
        position.advance();
#pragma unroll
        for (int n = 0; n < width / 2; ++n) sums[first / 2 + n] += rowOffsets[n / 2 % 2] * products[n];
    });
#endif
}

#endif
