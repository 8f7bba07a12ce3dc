// What a symmetric state before a chunk gives the outputs of its queries.
#pragma once
#include "hopper/symmetric_state.cuh"

#if DEGREE <= 2

// The same of pairs of the second halves of groups, one group after another.
template <int room, int stageNumbers, int matrixRows, int stageCount, int groups>
__device__ __forceinline__ void multiply_pairs(
    float (&sums)[VALUE_WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages,
    const elem *rows, const RowOperands<WIDTH, matrixRows> &operands, int lane
) {
    constexpr int tiles = tiles_of_stage(PAIR_NUMBERS, room);
#pragma unroll
    for (int group = 0; group < PAIR_TILES; ++group) {
        unsigned pairs[4][4];
#pragma unroll
        for (int n = 0; n < 8; n += FIRSTS_AT_ONCE) {
            FirstFactors<matrixRows> factors;
            factors.load(rows, 16 * group + 8 + n, lane);
#pragma unroll
            for (int i = 0; i < FIRSTS_AT_ONCE; i += 2)
                make_pairs(pairs[(n + i) / 2], operands.steps[group], factors.pair(i), factors.pair(i + 1));
        }
        operands_ready(pairs);
        if (group % tiles == 0) ring.wait_full(position);
        const unsigned long long matrix = panel_descriptor(stages + position.stage * stageNumbers + group % tiles * PAIR_NUMBERS, 64, true);
        products_begin();
#pragma unroll
        for (int step = 0; step < 4; ++step) multiply_group<true>(sums, pairs[step], panel_advance(matrix, panel_offset(16 * step, 0, 64)), true);
        products_commit();
        products_wait<0>();
        if (group % tiles < tiles - 1) continue;
        ring.release(position, lane);
        position.advance();
    }
}

// Adds to the sums of the warpgroup's 64 queries, and takes the stages of the state, `room` numbers of each. `rows` points to the first of the
// warp's in a matrix of `matrixRows`.
template <int matrixRows, int room, int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state(
    float (&sums)[(VALUE_WIDTH + 8) / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages,
    const elem *rows, const Place &at, bool hasState
) {
    const RowOperands<WIDTH, matrixRows> operands(rows, at.lane);
#if NORMALIZED
    if (hasState) {
        float totals[2] = {0, 0};
        repeat<NORMALIZER_PANELS>([&](auto panel) {
            constexpr int first = 64 * decltype(panel)::value, width = WIDTH - first < 64 ? WIDTH - first : 64;
            float products[width / 2];
            multiply_normalizer<stageNumbers>(products, ring, position, stages, at.lane, [&](unsigned (&operand)[4], int n) {
#pragma unroll
                for (int i = 0; i < 4; ++i) operand[i] = operands.steps[n][i];
            });
#pragma unroll
            for (int n = 0; n < width / 4; ++n) {
                const unsigned two = operands.steps[(first + 4 * n) / 16][n % 4];
                totals[n % 2] += low_bfloat16(two) * products[2 * n] + high_bfloat16(two) * products[2 * n + 1];
            }
        });
        // In the lane of the normalizer's column.
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const float total = row_sum(totals[half]);
            sums[VALUE_WIDTH / 2 + 2 * half] = at.t == 0 ? total : 0;
        }
    }
#endif
    // The operand of one first factor is made while the products of the one before are under way.
    float (&valueSums)[VALUE_WIDTH / 2] = reinterpret_cast<float (&)[VALUE_WIDTH / 2]>(sums);
    if (hasState) repeat<FIRST_PARTS>([&](auto number) {
        constexpr int part = decltype(number)::value, tileRows = StateTiles::rows(part), steps = tileRows / 16;
        if constexpr (steps > 0) {
            constexpr int skipped = StateTiles::begin(part) / 16, tiles = tiles_of_stage(StateTiles::numbers(part), room);
            unsigned operand[2][steps][4];
            FirstFactors<matrixRows> factors;
            auto make = [&](unsigned (&made)[steps][4], int n) {
                const uint2 once = factors.pair(n), both = both_orders(once);
                repeat<steps>([&](auto stepNumber) {
                    constexpr int group = skipped + decltype(stepNumber)::value;
                    scale_columns<part, group>(made[group - skipped], operands.steps[group], once, both);
                });
                operands_ready(made);
            };
            factors.load(rows, PART_FIRSTS * part, at.lane);
            make(operand[0], 0);
            RingPosition<stageCount> before = position;
#pragma unroll 1
            for (int first = 0; first < PART_FIRSTS; first += FIRSTS_AT_ONCE) {
#pragma unroll
                for (int n = 0; n < FIRSTS_AT_ONCE; ++n) {
                    if (n % tiles == 0) ring.wait_full(position);
                    const unsigned long long matrix =
                        panel_descriptor(stages + position.stage * stageNumbers + n % tiles * StateTiles::numbers(part), tileRows, true);
                    products_begin();
#pragma unroll
                    for (int step = 0; step < steps; ++step)
                        multiply_group<true>(
                            valueSums, operand[n % 2][step], panel_advance(matrix, panel_offset(16 * step, 0, tileRows)), true);
                    products_commit();
                    products_wait<1>();
                    if (n % tiles == 0 && first + n > 0) ring.release(before, at.lane);
                    make(operand[(n + 1) % 2], (n + 1) % FIRSTS_AT_ONCE);
                    // Only here does the compiler know that operands are read, and gives their registers to others.
                    if (n % 2 == 1) products_wait<0>();
                    if (n == FIRSTS_AT_ONCE - 2)
                        factors.load(rows, PART_FIRSTS * part + min(first + FIRSTS_AT_ONCE, PART_FIRSTS - FIRSTS_AT_ONCE), at.lane);
                    if ((n + 1) % tiles == 0) before = position, position.advance();
                }
            }
            products_wait<0>();
            ring.release(before, at.lane);
        }
    });
    if constexpr (HAS_HALVES) {
        if (hasState) multiply_pairs<room, stageNumbers>(valueSums, ring, position, stages, rows, operands, at.lane);
    }
    products_use(valueSums);
}

#endif
