// What the gradient of a symmetric state after a chunk gives the gradients of its keys and values.
#pragma once
#include "hopper/key_item.cuh"
#include "hopper/symmetric_state.cuh"

#if DEGREE <= 2

constexpr int NORMALIZER = NORMALIZER_PANELS * NORMALIZER_PANEL;
// Whether rows of keys and values stay in registers beside the sums.
constexpr bool KEEPS_ROWS = WIDTH + VALUE_WIDTH <= 128;

// Adds to the sums of the warp's 16 keys, but for the factor p of the gradients of keys, and takes the stages of the state. `keys` and `values`
// point to the first of the rows; `count` is GROUP_FIRSTS, or 0 where there is no state.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state_gradient(
    float (&keySums)[WIDTH / 2], float (&valueSums)[VALUE_WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position,
    const elem *stages, const elem *keys, const elem *values, const Place &at, int count, int hasFinalGradient
) {
    // Where rows are not normalized, that of the state after the last token may have a gradient.
    if (count > 0 && (NORMALIZED || hasFinalGradient)) {
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
    // Of every tile as many products for ∂k as a value has steps, and for ∂v as there are groups of columns from that of the first
    // factor on. Operands are made a few at once, while the products of those before are under way.
    constexpr int tiles = tiles_of_stage(FIRST_TILE, stageNumbers), atOnce = KEEPS_ROWS ? 4 : 2;
    constexpr int valueSteps = VALUE_WIDTH / 16, valueTurns = (valueSteps + atOnce - 1) / atOnce;
    const KeptOperands<WIDTH, ROWS, KEEPS_ROWS> keyRows(keys, at.lane);
    const KeptOperands<VALUE_WIDTH, ROWS, KEEPS_ROWS> valueRows(values, at.lane);
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
                const elem *tile = stages + position.stage * stageNumbers + n % tiles * FIRST_TILE;
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
