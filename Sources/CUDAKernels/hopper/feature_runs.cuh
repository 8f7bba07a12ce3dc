// What a state of narrow values gives those that read it with gradients, by runs of tiles that share first and last factors. With the rows a that
// multiply the state S, and P the products of first and last factors, which a run has once:
//
//     U += (a · Π others) Sᵀ,   Y = P S,    ∂(Π others) = Σ_c a_c Y_c
//
// and, at the end of a run, ∂last = Σ U · first, ∂first = Σ U · last. What takes a tile of products T = a Sᵀ apart (hopper/state_gradient.cuh) has
// two multiplications of each of its numbers; here sums over the features are products, and Y has a number for a column of the state.
#pragma once
#include "hopper/gradient_tile.cuh"

#if DEGREE > 2

// Whether it is fewer instructions, for products that take no longer, and registers are enough for both kinds of products at once.
constexpr bool HAS_RUNS = VALUE_WIDTH <= 16 || (VALUE_WIDTH <= 32 && (WIDTH <= 32 || GROUPS == 2 || NORMALIZED));

// The first of `count` tiles after tile n that has other first or last factors: by a vote, so that the compiler knows it to be one for all of a
// warp.
__device__ __forceinline__ int run_end(const uint4 *words, int n, int count, int lane) {
    const unsigned word = words[n].x;
    for (int end = n + 1;; end += 32) {
        const int tile = end + lane;
        const unsigned others = __ballot_sync(~0u, tile >= count || !has_factors_of(words[tile].x, word));
        if (others != 0) return end + __ffs(others) - 1;
    }
}

// A warp's 16 rows that multiply a state, as left operands; after them what multiplies the normalizer, where there is one.
template <bool hasNormalizer>
struct StateRows {
    static constexpr int depth = VALUE_WIDTH / 16 + (hasNormalizer ? 1 : 0), columns = VALUE_WIDTH + (hasNormalizer ? 8 : 0);
    unsigned steps[depth][4];
    // What multiplies products with the columns of the state, in the order of their sums: of the normalizer's the first.
    float numbers[VALUE_WIDTH / 2 + 2];

    // Of the steps. The normalizer's factor may have two parts.
    __device__ __forceinline__ void make_numbers() {
#pragma unroll
        for (int n = 0; n < VALUE_WIDTH / 4; ++n) {
            const unsigned pair = steps[n / 4][n % 4];
            numbers[2 * n] = low_bfloat16(pair), numbers[2 * n + 1] = high_bfloat16(pair);
        }
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const unsigned (&last)[4] = steps[depth - 1];
            numbers[VALUE_WIDTH / 2 + half] = hasNormalizer ? low_bfloat16(last[half]) + low_bfloat16(last[2 + half]) : 0;
        }
        // The compiler would make them anew for every tile.
        products_use(numbers);
    }
};

// Takes the `count` stages of the state. `use` gets the others' product of the lane's two rows, and Y, of every tile.
template <int stageNumbers, bool hasNormalizer, typename Features, int stageCount, int groups, typename Use>
__device__ __forceinline__ void multiply_runs(
    const GradientTile &tile, const Features &features, const StateRows<hasNormalizer> &rows, Ring<stageCount, groups> &ring,
    RingPosition<stageCount> &position, const elem *stages, const uint4 *words, int lane, int count, Use use
) {
    typedef StateRows<hasNormalizer> Rows;
    unsigned scaled[Rows::depth][4] = {};
    // The compiler would take turns out of the loops, and find no registers for their products.
#pragma unroll 1
    for (int n = 0; n < count;) {
        const int end = run_end(words, n, count, lane);
        const unsigned word = words[n].x;
        unsigned products[4][4];
        {
            unsigned last[4], firsts[4];
            features.load_last(last, word, 0);
            features.load_firsts(firsts, word, 0);
#pragma unroll
            for (int i = 0; i < 4; ++i) scale_rows(products[i], last, firsts[i]);
        }
        float gradients[FEATURES / 2] = {};
        // The lane that releases the stage before is 0, where there is one. A branch would keep products from overlapping.
        int releasing = 1;
        RingPosition<stageCount> previous = position;
        // What the others of the tile before get is added while products are under way.
        FeatureTile before(words[n]);
        float sums[2] = {0, 0};
#pragma unroll 1
        for (; n < end; ++n) {
            float outputs[Rows::columns / 2];
            ring.wait_full(position);
            const elem *stage = stages + position.stage * stageNumbers;
            const unsigned long long asRows = panel_descriptor(stage, FEATURES, true), asColumns = panel_descriptor(stage, FEATURES, false);
            products_begin();
#pragma unroll
            for (int i = 0; i < 4; ++i)
                multiply_group<true>(outputs, products[i], panel_advance(asRows, panel_offset(16 * i, 0, FEATURES)), i > 0);
            products_commit();
            const FeatureTile place(words[n]);
            OtherFactors factors;
            factors.load(features, place, 0);
            const unsigned others = factors.rounded_product();
            tile.add_others(before, sums, features);
            // Those of the tile before: the operand is free.
            products_wait<1>();
            operands_ready(scaled);
            ring.release(previous, releasing);
#pragma unroll
            for (int i = 0; i < Rows::depth; ++i) scale_rows(scaled[i], rows.steps[i], others);
            products_begin();
#pragma unroll
            for (int i = 0; i < Rows::depth; ++i)
                multiply_group<false>(gradients, scaled[i], panel_advance(asColumns, panel_offset(0, 16 * i, FEATURES)), true);
            products_commit();
            products_wait<1>();
            products_use(outputs);
            sums[0] = sums[1] = 0;
#pragma unroll
            for (int i = 0; i < VALUE_WIDTH / 2; ++i) sums[i / 2 % 2] += rows.numbers[i] * outputs[i];
#pragma unroll
            for (int half = 0; hasNormalizer && half < 2; ++half)
                sums[half] += rows.numbers[VALUE_WIDTH / 2 + half] * outputs[VALUE_WIDTH / 2 + 2 * half];
            use(make_float2(low_bfloat16(others), high_bfloat16(others)), outputs);
            before = place;
            releasing = lane;
            previous = position;
            position.advance();
        }
        tile.add_others(before, sums, features);
        products_wait<0>();
        operands_ready(scaled);
        operands_ready(products);
        products_use(gradients);
        ring.release(previous, lane);

        float last[8], firsts[2][4], lastGradient[8] = {}, firstGradient[2][4] = {};
        features.load_last(last, word);
        features.load_firsts(firsts, word);
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int place = 0; place < 8; ++place) {
                const int half = place / 2 % 2;
                lastGradient[place] += gradients[8 * i + place] * firsts[half][i];
                firstGradient[half][i] += gradients[8 * i + place] * last[place];
            }
        tile.add_firsts(word, firstGradient);
        tile.add_last(word, lastGradient);
    }
}

#endif
