// What the gradient of a state of degree 1 after a chunk gives the gradients of its keys and values: with the state S [i, c] and its normalizer Z
//
//     ∂k_i += Σ_c v_c S_ic + Z_i    ∂v_c += Σ_i k_i S_ic
#pragma once
#include "hopper/key_item.cuh"
#include "hopper/state_windows.cuh"

#if DEGREE == 1

constexpr int WAITING_SUMS = 0;

// Makes the sums of the warp's 16 keys, which are zero before, and takes the stages of the state. `keys` and `values` point to the first row of
// the warpgroup; products read the rows where they are: beside all sums there are no registers for them.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void multiply_state_gradient(
    float (&keySums)[WIDTH / 2], float (&valueSums)[VALUE_WIDTH / 2], float *, Ring<stageCount, groups> &ring,
    RingPosition<stageCount> &position, const elem *stages, const elem *keys, const elem *values, const Place &at, bool hasState,
    bool hasNormalizer
) {
    if (!hasState) return;
    const unsigned long long keyRows = panel_descriptor(keys, ROWS, false);
    const unsigned long long valueRows = panel_descriptor(values, ROWS, false);
    repeat<WINDOWS>([&](auto number) {
        using Columns = Window<decltype(number)::value>;
        constexpr int rows = Columns::columns;
        float (&sums)[rows / 2] = reinterpret_cast<float (&)[rows / 2]>(keySums[Columns::first / 2]);
        if (hasNormalizer)
            multiply_normalizer<stageNumbers>(sums, ring, position, stages, at.lane, [&](unsigned (&operand)[4], int) {
                operand[0] = operand[1] = at.t == 0 ? 0x3f80 : 0, operand[2] = operand[3] = 0;
            });
        ring.wait_full(position);
        const elem *stage = stages + position.stage * stageNumbers;
        const unsigned long long byColumns = panel_descriptor(stage, rows, false), byRows = panel_descriptor(stage, rows, true);
        products_begin();
#pragma unroll
        for (int step = 0; step < VALUE_WIDTH / 16; ++step)
            multiply_group<false>(
                sums, panel_advance(valueRows, panel_offset(0, 16 * step, ROWS)), panel_advance(byColumns, panel_offset(0, 16 * step, rows)),
                true);
#pragma unroll
        for (int step = 0; step < rows / 16; ++step)
            multiply_group<true>(
                valueSums, panel_advance(keyRows, panel_offset(0, Columns::first + 16 * step, ROWS)),
                panel_advance(byRows, panel_offset(16 * step, 0, rows)), true);
        products_commit();
        products_wait<0>();
        products_use(keySums);
        products_use(valueSums);
        ring.release(position, at.lane);
        position.advance();
    });
}

#endif
