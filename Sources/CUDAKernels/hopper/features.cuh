// φ of 64 rows in registers, 16 features at a time, from rows in panels (common/expansion.cuh has the order of features).
#pragma once
#include "common/expansion.cuh"
#include "hopper/panels.cuh"

// The words of `stages` stages of 64 features, four of each: copied to shared memory by all threads of a block where there is room for them,
// which up to degree 2 there always is.
__device__ __forceinline__ const uint4 *share_words(const unsigned *blocks, int stages, uint4 *shared, int index, int threads) {
    const uint4 *words = reinterpret_cast<const uint4 *>(blocks);
    for (int n = index; n < min(stages, WORDS / 4); n += threads) shared[n] = words[n];
    return DEGREE <= 2 || 4 * stages <= WORDS ? shared : words;
}

// The rows of one warp: `rows` points to the first of 16, in a matrix of `matrixRows`.
template <int matrixRows>
struct RowFeatures {
    // The first of the lane's two rows, and its row of the matrices that are loaded at once.
    const elem *own, *loaded;
    // What the places of columns are mixed with there.
    int ownMix, loadedMix;

    __device__ __forceinline__ RowFeatures(const elem *rows, int lane)
        : own(rows + 64 * (lane / 4)), loaded(rows + 64 * (lane % 16)), ownMix(lane / 4 * 8), loadedMix((lane % 8 ^ lane / 16) * 8) {}

    // Numbers of one column; the rows are 8 apart.
    __device__ __forceinline__ const elem *column(int index) const { return own + mixed(index, ownMix); }

    // The last factors of a block. Loaded again for every block: a branch would keep products from overlapping.
    __device__ __forceinline__ void load_last(FragmentA &last, unsigned block) const {
        load_matrices(last.r, loaded + mixed(16 * last_index(block), loadedMix));
    }

    __device__ __forceinline__ static int mixed(int column, int mix) {
        return (column ^ mix) + (WIDTH > 64 ? column / 64 * 64 * (matrixRows - 1) : 0);
    }

    __device__ __forceinline__ void make(unsigned (&a)[4], unsigned block) const {
        FragmentA last;
        load_last(last, block);
        if (DEGREE == 1) {
#pragma unroll
            for (int n = 0; n < 4; ++n) a[n] = last.r[n];
        } else {
            float upper = 1, lower = 1;
#pragma unroll
            for (int n = 0; n < DEGREE - 1; ++n) {
                const elem *prefix = column(prefix_index(block, n));
                upper *= bfloat16_to_float(prefix[0]);
                lower *= bfloat16_to_float(prefix[8 * 64]);
            }
            FragmentA phi;
            expand_rows(phi, last, upper, lower);
#pragma unroll
            for (int n = 0; n < 4; ++n) a[n] = phi.r[n];
        }
    }
};

// What the features of a tile of 64, four blocks, are made of: loaded early, because shared memory answers late while products read it.
// At degree 2 the blocks share their last factors, and their prefixes are neighbours.
template <int matrixRows>
struct FeatureFactors {
#if DEGREE == 2
    FragmentA last;
    uint2 upper, lower;
#else
    uint4 words;
#endif

    __device__ __forceinline__ void load(const RowFeatures<matrixRows> &features, uint4 blocks) {
#if DEGREE == 2
        features.load_last(last, blocks.x);
        const elem *prefix = features.column(prefix_index(blocks.x, 0));
        upper = *reinterpret_cast<const uint2 *>(prefix);
        lower = *reinterpret_cast<const uint2 *>(prefix + 8 * 64);
#else
        words = blocks;
#endif
    }

    __device__ __forceinline__ void multiply(unsigned (&a)[4][4], const RowFeatures<matrixRows> &features) const {
#if DEGREE == 2
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            // One number in both halves.
            const unsigned selector = n % 2 == 0 ? 0x1010 : 0x3232;
            const unsigned first = __byte_perm(n < 2 ? upper.x : upper.y, 0, selector);
            const unsigned second = __byte_perm(n < 2 ? lower.x : lower.y, 0, selector);
            a[n][0] = multiply_bfloat16(last.r[0], first);
            a[n][1] = multiply_bfloat16(last.r[1], second);
            a[n][2] = multiply_bfloat16(last.r[2], first);
            a[n][3] = multiply_bfloat16(last.r[3], second);
        }
#else
        features.make(a[0], words.x);
        features.make(a[1], words.y);
        features.make(a[2], words.z);
        features.make(a[3], words.w);
#endif
    }
};

// Two neighbouring groups of 8 columns of sums as A.
template <int count>
__device__ __forceinline__ void make_operand(unsigned (&a)[4], const float (&c)[count], int first) {
    a[0] = pack_bfloat16(c[first], c[first + 1]);
    a[1] = pack_bfloat16(c[first + 2], c[first + 3]);
    a[2] = pack_bfloat16(c[first + 4], c[first + 5]);
    a[3] = pack_bfloat16(c[first + 6], c[first + 7]);
}
