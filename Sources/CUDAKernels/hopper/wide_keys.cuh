// symmetric_keys.cuh for rows so wide that beside their sums products with a tile do not fit into registers: tiles are whole, and both gradients
// are products of rows times one number of each.
#pragma once
#include "hopper/symmetric_keys.cuh"

#if DEGREE <= 2 && !KEEPS_ROWS

// Adds to the sums of the warp's 16 keys, but for the factor p of the gradients of keys, and takes the stages of the state. `keys` and `values`
// point to the first of the rows; `count` is GROUP_FIRSTS, or 0 where there is no state.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state_gradient(
    float (&keySums)[WIDTH / 2], float (&valueSums)[VALUE_WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position,
    const elem *stages, const elem *keys, const elem *values, const Place &at, int count, int hasFinalGradient
) {
    multiply_key_normalizer<stageNumbers>(keySums, ring, position, stages, keys, at, count > 0 && (NORMALIZED || hasFinalGradient));
    // Of every tile as many products for ∂k as a value has steps, and for ∂v as there are groups of columns from that of the first
    // factor on. Operands are made a few at once, while the products of those before are under way.
    constexpr int tiles = GradientTiles::count(0, stageNumbers), atOnce = 2;
    constexpr int valueSteps = VALUE_WIDTH / 16, valueTurns = (valueSteps + atOnce - 1) / atOnce;
    const KeptOperands<WIDTH, ROWS, false> keyRows(keys, at.lane);
    const KeptOperands<VALUE_WIDTH, ROWS, false> valueRows(values, at.lane);
    RingPosition<stageCount> before = position;
    if (count > 0) repeat<FIRST_GROUPS>([&](auto group) {
        constexpr int skipped = decltype(group)::value, keySteps = COLUMN_GROUPS - skipped;
        constexpr int turns = valueTurns + (keySteps + atOnce - 1) / atOnce;
        unsigned operand[2][atOnce][4];
        FirstFactors<ROWS> factors;
        auto make = [&](unsigned (&made)[atOnce][4], int n, int turn) {
            const uint2 once = factors.pair(n), both = both_orders(once);
#pragma unroll
            for (int i = 0; i < atOnce; ++i) {
                const int step = atOnce * (turn < valueTurns ? turn : turn - valueTurns) + i;
                if (turn < valueTurns) {
                    if (step < valueSteps) valueRows.scale(made[i], step, once);
                } else if (step < keySteps) {
                    keyRows.scale(made[i], skipped + step, step == 0 ? once : both);
                }
            }
            operands_ready(made);
        };
        factors.load(keys, 16 * skipped, at.lane);
        make(operand[0], 0, 0);
#pragma unroll 1
        for (int first = 0; first < GROUP_FIRSTS; first += FIRSTS_AT_ONCE) {
#pragma unroll
            for (int n = 0; n < FIRSTS_AT_ONCE; ++n) {
                if (n % tiles == 0) ring.wait_full(position);
                const elem *tile = stages + position.stage * stageNumbers + n % tiles * GradientTiles::largest;
                const unsigned long long byColumns = panel_descriptor(tile, WIDTH, false);
                const unsigned long long byRows = panel_descriptor(tile, WIDTH, true);
#pragma unroll
                for (int turn = 0; turn < turns; ++turn) {
                    const int use = (n * turns + turn) % 2;
                    products_begin();
#pragma unroll
                    for (int i = 0; i < atOnce; ++i) {
                        const int step = atOnce * (turn < valueTurns ? turn : turn - valueTurns) + i;
                        if (turn < valueTurns) {
                            if (step < valueSteps)
                                multiply_group<false>(
                                    keySums, operand[use][i], panel_advance(byColumns, panel_offset(0, 16 * step, WIDTH)), true);
                        } else if (step < keySteps) {
                            multiply_group<true>(
                                valueSums, operand[use][i],
                                panel_advance(byRows, panel_offset(16 * (skipped + step), 0, WIDTH)), true);
                        }
                    }
                    products_commit();
                    products_wait<1>();
                    if (n % tiles == 0 && turn == 0 && skipped + first + n > 0) ring.release(before, at.lane);
                    make(operand[1 - use], turn + 1 < turns ? n : (n + 1) % FIRSTS_AT_ONCE, (turn + 1) % turns);
                    // Only here does the compiler know that operands are read, and gives their registers to others.
                    if (use == 1) products_wait<0>();
                    if (n == FIRSTS_AT_ONCE - 1 && turn + 2 == turns)
                        factors.load(
                            keys, 16 * skipped + min(first + FIRSTS_AT_ONCE, GROUP_FIRSTS - FIRSTS_AT_ONCE), at.lane);
                }
                if ((n + 1) % tiles == 0) before = position, position.advance();
            }
        }
        products_wait<0>();
    });
    if (count > 0) ring.release(before, at.lane);
    products_use(keySums);
    products_use(valueSums);
}

#endif
