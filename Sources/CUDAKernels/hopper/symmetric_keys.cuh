// What the gradient of a symmetric state after a chunk gives the gradients of its keys and values.
#pragma once
#include "hopper/key_item.cuh"
#include "hopper/symmetric_gradient.cuh"

#if DEGREE == 2

// Of a warp, the sums for ∂k of a window that is over: they wait in shared memory, and get there what first factors among their columns get from
// the other window.
constexpr int WAITING_SUMS = WINDOWS > 1 ? 16 * WINDOW_COLUMNS : 0;
static_assert(WINDOWS <= 2, "one window waits at most");

// Where those of the lane begin, four of every 128: made anew each time, because registers are few.
__device__ __forceinline__ float4 *waiting_sums(float *sums) {
    const Place at;
    return reinterpret_cast<float4 *>(sums + (4 * at.group + at.warp) * WAITING_SUMS) + at.lane;
}

// The tiles of first factors of a part. Products for ∂v come in turns of two steps, with operands that are made while T is multiplied; beside them
// T is taken apart, and the next T begins.
template <typename Columns, int part, int stageNumbers, int stageCount, int groups, int columns>
__device__ __forceinline__ void multiply_tiles(
    float (&keySums)[WIDTH / 2], float (&valueSums)[VALUE_WIDTH / 2], float *waitingSums, Ring<stageCount, groups> &ring,
    RingPosition<stageCount> &position, const elem *stages, const elem *keys, const RowOperands<columns, ROWS> &keyRows,
    const RowOperands<VALUE_WIDTH, ROWS> &valueRows
) {
    constexpr int tiles = Columns::tiles(part), tileSteps = Columns::rows(part) / 16, steps = tiles * tileSteps, rows = 16 * steps;
    constexpr int column = Columns::begin(part) / 16, origin = Columns::first / 16;
    constexpr int atOnce = 2, turns = (steps + atOnce - 1) / atOnce;
#pragma unroll 1
    for (int first = 0; first < PART_FIRSTS; first += FIRSTS_AT_ONCE) {
        const Place at;
        FirstFactors<ROWS> factors;
        factors.load(keys, PART_FIRSTS * part + first, at.lane);
        FactorGradients<part> gradients;
        unsigned operand[atOnce][4];
        RingPosition<stageCount> before = position;
        repeat<FIRSTS_AT_ONCE / tiles>([&](auto stageNumber) {
            constexpr int number = decltype(stageNumber)::value;
            float products[rows / 2];
            ring.wait_full(position);
            const elem *stage = stages + position.stage * stageNumbers;
            const unsigned long long byColumns = panel_descriptor(stage, rows, false), byRows = panel_descriptor(stage, rows, true);
            products_begin();
            valueRows.multiply(products, byColumns);
            products_commit();
            repeat<turns>([&](auto turnNumber) {
                constexpr int begin = atOnce * decltype(turnNumber)::value, end = begin + atOnce < steps ? begin + atOnce : steps;
                if constexpr (begin > 0 || number > 0) {
                    products_wait<begin == 0 ? 1 : 0>();
                    operands_ready(operand);
                }
                if constexpr (begin == 0 && number > 0) ring.release(before, at.lane);
                repeat<end - begin>([&](auto stepNumber) {
                    constexpr int step = begin + decltype(stepNumber)::value, group = column + step % tileSteps;
                    const uint2 once = factors.pair(tiles * number + step / tileSteps);
                    scale_columns<part, group>(operand[step - begin], keyRows.steps[group - origin], once, both_orders(once));
                });
                operands_ready(operand);
                products_begin();
#pragma unroll
                for (int step = begin; step < end; ++step)
                    multiply_group<true>(valueSums, operand[step - begin], panel_advance(byRows, panel_offset(16 * step, 0, rows)), true);
                products_commit();
                if constexpr (begin == 0) {
                    products_wait<1>();
                    products_use(products);
                }
                repeat<end - begin>([&](auto stepNumber) {
                    constexpr int step = begin + decltype(stepNumber)::value, n = tiles * number + step / tileSteps;
                    gradients.template add<column + step % tileSteps, 1, step, origin>(keySums, products, n, factors.pair(n), keyRows);
                });
            });
            before = position;
            position.advance();
        });
        products_wait<0>();
        operands_ready(operand);
        ring.release(before, at.lane);
        const int place = part % HALVES * PART_FIRSTS + first;
        if constexpr (PART_FIRSTS * part < Columns::first)
            gradients.finish(waiting_sums(waitingSums), place, at.t);
        else
            gradients.finish(keySums, place, at.t);
    }
}

// The tiles of pairs.
template <int stageNumbers, int stageCount, int groups, int columns>
__device__ __forceinline__ void multiply_pairs(
    float (&keySums)[WIDTH / 2], float (&valueSums)[VALUE_WIDTH / 2], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position,
    const elem *stages, const elem *keys, const RowOperands<columns, ROWS> &keyRows, const RowOperands<VALUE_WIDTH, ROWS> &valueRows
) {
    repeat<PAIR_TILES>([&](auto number) {
        constexpr int group = decltype(number)::value;
        const Place at;
        auto load = [&](int first) {
            FirstFactors<ROWS> factors;
            factors.load(keys, first, at.lane);
            return factors;
        };
        float products[32];
        ring.wait_full(position);
        const elem *stage = stages + position.stage * stageNumbers;
        const unsigned long long byColumns = panel_descriptor(stage, 64, false), byRows = panel_descriptor(stage, 64, true);
        products_begin();
        valueRows.multiply(products, byColumns);
        products_commit();
        // Those for ∂v in two turns: operands of both would take too many registers.
        repeat<2>([&](auto turn) {
            constexpr int begin = 2 * decltype(turn)::value;
            const FirstFactors<ROWS> factors = load(16 * group + 8 + 2 * begin);
            unsigned pairs[2][4];
#pragma unroll
            for (int n = 0; n < 2; ++n) make_pairs(pairs[n], keyRows.steps[group], factors.pair(2 * n), factors.pair(2 * n + 1));
            operands_ready(pairs);
            products_begin();
#pragma unroll
            for (int n = 0; n < 2; ++n)
                multiply_group<true>(valueSums, pairs[n], panel_advance(byRows, panel_offset(16 * (begin + n), 0, 64)), true);
            products_commit();
            if constexpr (begin == 0) {
                products_wait<1>();
                products_use(products);
                add_pair_gradients<group>(keySums, products, load);
            }
            products_wait<0>();
            operands_ready(pairs);
        });
        ring.release(position, at.lane);
        position.advance();
    });
}

// A window of the state.
template <typename Columns, int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_window(
    float (&keySums)[WIDTH / 2], float (&valueSums)[VALUE_WIDTH / 2], float *waitingSums, Ring<stageCount, groups> &ring,
    RingPosition<stageCount> &position, const elem *stages, const elem *keys, const RowOperands<VALUE_WIDTH, ROWS> &valueRows,
    bool hasNormalizer
) {
    const Place at;
    if (hasNormalizer) {
        float products[Columns::columns / 2];
        multiply_normalizer<stageNumbers>(products, ring, position, stages, at.lane, [&](unsigned (&operand)[4], int n) {
            RowOperands<WIDTH, ROWS>::load(operand, keys, n, at.lane);
        });
#pragma unroll
        for (int n = 0; n < Columns::columns / 2; ++n) keySums[Columns::first / 2 + n] = products[n];
    }
    const RowOperands<Columns::columns, ROWS> keyRows(keys + ROWS * Columns::first, at.lane);
    repeat<Columns::parts>([&](auto number) {
        if constexpr (Columns::rows(decltype(number)::value) > 0)
            multiply_tiles<Columns, decltype(number)::value, stageNumbers>(
                keySums, valueSums, waitingSums, ring, position, stages, keys, keyRows, valueRows);
    });
    if constexpr (HAS_HALVES) multiply_pairs<stageNumbers>(keySums, valueSums, ring, position, stages, keys, keyRows, valueRows);
}

// Adds to the sums of the warp's 16 keys, but for the factor p of the gradients of keys, and takes the stages of the state. `keys` and `values`
// point to the first row of the warpgroup; `waitingSums` has room for WAITING_SUMS of every warp.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state_gradient(
    float (&keySums)[WIDTH / 2], float (&valueSums)[VALUE_WIDTH / 2], float *waitingSums, Ring<stageCount, groups> &ring,
    RingPosition<stageCount> &position, const elem *stages, const elem *keys, const elem *values, const Place &at, bool hasState,
    bool hasNormalizer
) {
    if (!hasState) return;
    const int warpRows = 64 * 16 * at.warp;
    keys += warpRows;
    const RowOperands<VALUE_WIDTH, ROWS> valueRows(values + warpRows, at.lane);
    multiply_window<Window<0>, stageNumbers>(keySums, valueSums, waitingSums, ring, position, stages, keys, valueRows, hasNormalizer);
    if constexpr (WINDOWS > 1) {
#pragma unroll
        for (int n = 0; n < WINDOW_COLUMNS / 8; ++n)
            waiting_sums(waitingSums)[32 * n] = make_float4(keySums[4 * n], keySums[4 * n + 1], keySums[4 * n + 2], keySums[4 * n + 3]);
        multiply_window<Window<1>, stageNumbers>(keySums, valueSums, waitingSums, ring, position, stages, keys, valueRows, hasNormalizer);
#pragma unroll
        for (int n = 0; n < WINDOW_COLUMNS / 8; ++n) {
            const float4 four = waiting_sums(waitingSums)[32 * n];
            keySums[4 * n] = four.x, keySums[4 * n + 1] = four.y, keySums[4 * n + 2] = four.z, keySums[4 * n + 3] = four.w;
        }
    }
    products_use(keySums);
    products_use(valueSums);
}

#endif
