// What the gradient of a symmetric state after a chunk gives the gradients of its keys and values.
#pragma once
#include "hopper/key_item.cuh"
#include "hopper/symmetric_gradient.cuh"

#if DEGREE <= 2

constexpr int NORMALIZER = NORMALIZER_PANELS * NORMALIZER_PANEL;
// The numbers of a stage of the state.
constexpr int STATE_STAGE = GradientTiles::largest > NORMALIZER ? GradientTiles::largest : NORMALIZER;

// The normalizer's part of the sums for ∂k. Where rows are not normalized, that of the state after the last token may have a gradient.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_key_normalizer(
    float (&keySums)[WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages, const elem *keys,
    const Place &at, bool isThere
) {
    if (!isThere) return;
    ring.wait_full(position);
    multiply_normalizer(keySums, stages + position.stage * stageNumbers, [&](unsigned (&operand)[4], int n) {
#if DEGREE == 1
        operand[0] = operand[1] = at.t == 0 ? 0x3f80 : 0, operand[2] = operand[3] = 0;
#else
        RowOperands<WIDTH, ROWS>::load(operand, keys, n, at.lane);
#endif
    });
    ring.release(position, at.lane);
    position.advance();
}

#endif

#if DEGREE <= 2 && KEEPS_ROWS

// Adds to the sums of the warp's 16 keys, but for the factor p of the gradients of keys, and takes the stages of the state. `keys` and `values`
// point to the first of the rows; `count` is GROUP_FIRSTS, or 0 where there is no state.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state_gradient(
    float (&keySums)[WIDTH / 2], float (&valueSums)[VALUE_WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position,
    const elem *stages, const elem *keys, const elem *values, const Place &at, int count, int hasFinalGradient
) {
    multiply_key_normalizer<stageNumbers>(keySums, ring, position, stages, keys, at, count > 0 && (NORMALIZED || hasFinalGradient));
    // Of every tile T, part by part, and as many products for ∂v as there are groups of columns from that of the first factor on. Operands of
    // those are made a few at once, while the ones before are under way, and so are parts of T taken apart.
    constexpr int atOnce = 4;
    const KeptOperands<WIDTH, ROWS, true> keyRows(keys, at.lane);
    const RowOperands<VALUE_WIDTH, ROWS> valueRows(values, at.lane);
    if (count > 0) repeat<FIRST_GROUPS>([&](auto group) {
        constexpr int skipped = decltype(group)::value, tileRows = GradientTiles::rows(skipped), tiles = GradientTiles::count(skipped, stageNumbers);
        constexpr int keySteps = COLUMN_GROUPS - skipped, turns = (keySteps + atOnce - 1) / atOnce, parts = parts_of_tile(skipped);
        static_assert(parts <= turns, "a part at most in every turn");
        unsigned operand[2][atOnce][4];
        FirstFactors<ROWS> factors;
        auto make = [&](unsigned (&made)[atOnce][4], int n, int turn) {
            const uint2 once = factors.pair(n), both = both_orders(once);
#pragma unroll
            for (int i = 0; i < atOnce; ++i) {
                const int step = atOnce * turn + i;
                if (step < keySteps) keyRows.scale(made[i], skipped + step, step == 0 ? once : both);
            }
            operands_ready(made);
        };
#pragma unroll 1
        for (int first = 0; first < GROUP_FIRSTS; first += FIRSTS_AT_ONCE) {
            const Place here;
            FactorGradients<skipped> gradients;
            factors.load(keys, 16 * skipped + first, here.lane);
            make(operand[0], 0, 0);
            repeat<FIRSTS_AT_ONCE * turns>([&](auto turnNumber) {
                constexpr int n = decltype(turnNumber)::value / turns, turn = decltype(turnNumber)::value % turns;
                constexpr int use = decltype(turnNumber)::value % 2;
                constexpr bool isLast = decltype(turnNumber)::value + 1 == FIRSTS_AT_ONCE * turns;
                if (turn == 0 && n % tiles == 0) ring.wait_full(position);
                const elem *tile = stages + position.stage * stageNumbers + n % tiles * GradientTiles::numbers(skipped);
                float products[part_columns(skipped, turn < parts ? turn : 0) / 2];
                products_begin();
                if constexpr (turn < parts) {
                    const unsigned long long columns =
                        panel_advance(panel_descriptor(tile, tileRows, false), panel_offset(PART_COLUMNS * turn, 0, tileRows));
#pragma unroll
                    for (int step = 0; step < VALUE_WIDTH / 16; ++step)
                        multiply_group<false>(
                            products, valueRows.steps[step], panel_advance(columns, panel_offset(0, 16 * step, tileRows)), step > 0);
                    products_commit();
                }
#pragma unroll
                for (int i = 0; i < atOnce; ++i) {
                    const int step = atOnce * turn + i;
                    if (step < keySteps)
                        multiply_group<true>(
                            valueSums, operand[use][i],
                            panel_advance(panel_descriptor(tile, tileRows, true), panel_offset(16 * step, 0, tileRows)), true);
                }
                products_commit();
                products_wait<1>();
                if constexpr (turn < parts) {
                    products_use(products);
                    gradients.template add<turn>(keySums, products, n, factors.pair(n), keyRows);
                }
                if (!isLast) make(operand[1 - use], turn + 1 < turns ? n : n + 1, (turn + 1) % turns);
                // Only here does the compiler know that operands are read, and gives their registers to others.
                products_wait<0>();
                if (turn + 1 == turns && (n + 1) % tiles == 0) {
                    ring.release(position, here.lane);
                    position.advance();
                }
            });
            gradients.finish(keySums, first, here.t);
        }
    });
    products_use(keySums);
    products_use(valueSums);
}

#endif
