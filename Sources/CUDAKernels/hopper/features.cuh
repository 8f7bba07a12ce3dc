// φ of degree 3 or 4 of 64 rows in registers, from rows in panels (common/expansion.cuh has the order of features). Of lower degrees the
// attention kernels read states that are symmetric (symmetric_state.cuh).
#pragma once
#include "common/expansion.cuh"
#include "hopper/row_operands.cuh"

#if DEGREE > 2

// The words of `stages` stages of 64 features, four of each: copied to shared memory by all threads of a block, where WORDS is not 0.
__device__ __forceinline__ const uint4 *share_words(const unsigned *blocks, int stages, uint4 *shared, int index, int threads) {
    const uint4 *words = reinterpret_cast<const uint4 *>(blocks);
#if WORDS > 0
    for (int n = index; n < stages; n += threads) shared[n] = words[n];
    words = shared;
#endif
    return words;
}

// How stages bring a state of features: two at a time; `blocks` goes on with zeros.
struct FeatureStages {
    int features, count;

    __device__ __forceinline__ explicit FeatureStages(int blockCount)
        : features(blockCount * 16), count((features + 2 * FEATURES - 1) / (2 * FEATURES) * 2) {}

    // Brings state `number` of all; stages are `stageNumbers` apart, and thread() is where a thread of the warpgroup is.
    template <int stageNumbers, int stageCount, int groups, typename Thread>
    __device__ __forceinline__ void copy(
        Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, elem *stages, const elem *states, size_t number,
        Thread thread
    ) const {
        const int stride = VALUE_WIDTH + 8;
        const elem *state = states + number * features * stride;
        for (int first = 0; first < count * FEATURES; first += FEATURES) {
            elem *stage = stages + ring.begin(position) * stageNumbers;
            copy_state<FEATURES, VALUE_WIDTH>(stage, state + static_cast<size_t>(first) * stride, features - first, thread());
            ring.end(position);
        }
    }
};

// The rows of one warp: `rows` points to the first of 16, in a matrix of `matrixRows`.
template <int matrixRows>
struct RowFeatures {
    const unsigned char *rows;
    // Where column 0 of the first of the lane's two rows stands, and of its row of the matrices that are loaded at once; in bytes, as they are
    // added.
    int own, loaded;
#if WIDTH == 16
    FragmentA all;
#endif

    __device__ __forceinline__ RowFeatures(const elem *rows, int lane)
        : rows(reinterpret_cast<const unsigned char *>(rows)), own(128 * (lane / 4) + lane / 4 * 16),
          loaded(128 * (lane % 16) + (lane % 8 ^ lane / 16) * 16) {
#if WIDTH == 16
        load_matrices(all.r, number(loaded, 0));
#endif
    }

    // Numbers of the column of factor n of a prefix; the rows are 8 apart.
    __device__ __forceinline__ const elem *column(unsigned block, int n) const { return number(own, 2 * prefix_index(block, n)); }

    // The last factors of a block. Loaded again for every block that may have others: a branch would keep products from overlapping.
    __device__ __forceinline__ void load_last(FragmentA &last, unsigned block) const {
#if WIDTH == 16
        last = all;
#else
        load_matrices(last.r, number(loaded, 32 * last_index(block)));
#endif
    }

    __device__ __forceinline__ const elem *number(int first, int column) const {
        const int place = WIDTH > 64 ? (first ^ column % 128) + column / 128 * 128 * matrixRows : first ^ column;
        return reinterpret_cast<const elem *>(rows + place);
    }
};

// The factors of a tile's prefixes that its blocks share, of the lane's two rows: loaded early, because shared memory answers late while products
// read it.
struct OtherFactors {
    unsigned numbers[DEGREE - 2][2];

    template <int matrixRows>
    __device__ __forceinline__ void load(const RowFeatures<matrixRows> &features, unsigned word) {
#pragma unroll
        for (int n = 0; n < DEGREE - 2; ++n) {
            const elem *other = features.column(word, n + 1);
            numbers[n][0] = other[0], numbers[n][1] = other[8 * 64];
            words_ready(numbers[n]);
        }
    }

    __device__ __forceinline__ float2 row(int n) const {
        return make_float2(bfloat16_to_float(numbers[n][0]), bfloat16_to_float(numbers[n][1]));
    }

    __device__ __forceinline__ float2 product() const {
        float2 product = row(0);
#pragma unroll
        for (int n = 1; n < DEGREE - 2; ++n) product = make_float2(product.x * row(n).x, product.y * row(n).y);
        return product;
    }
};

// What the features of a tile of 64, four blocks, are made of: loaded early, because shared memory answers late while products read it.
// The blocks share all factors but the first, and the first ones are neighbours.
template <int matrixRows>
struct FeatureFactors {
    FragmentA last;
    // The four first factors of the lane's two rows, and the others of both.
    uint2 upper, lower;
    OtherFactors others;

    __device__ __forceinline__ void load(const RowFeatures<matrixRows> &features, uint4 blocks) {
        features.load_last(last, blocks.x);
        const elem *first = features.column(blocks.x, 0);
        upper = *reinterpret_cast<const uint2 *>(first);
        lower = *reinterpret_cast<const uint2 *>(first + 8 * 64);
        others.load(features, blocks.x);
    }

    // The products of the prefixes of the lane's two rows.
    __device__ __forceinline__ void prefixes(uint2 &first, uint2 &second) const {
        // One row in each half.
        auto both = [&](int n) { return __byte_perm(others.numbers[n][0], others.numbers[n][1], 0x5410); };
        unsigned product = both(0);
#pragma unroll
        for (int n = 1; n < DEGREE - 2; ++n) product = multiply_bfloat16(product, both(n));
        const unsigned firstProduct = __byte_perm(product, 0, 0x1010), secondProduct = __byte_perm(product, 0, 0x3232);
        first = make_uint2(multiply_bfloat16(upper.x, firstProduct), multiply_bfloat16(upper.y, firstProduct));
        second = make_uint2(multiply_bfloat16(lower.x, secondProduct), multiply_bfloat16(lower.y, secondProduct));
    }

    __device__ __forceinline__ void multiply(unsigned (&a)[4][4]) const {
        uint2 upperPrefixes, lowerPrefixes;
        prefixes(upperPrefixes, lowerPrefixes);
#pragma unroll
        for (int n = 0; n < 4; ++n) scale_rows(a[n], last.r, both_halves(upperPrefixes, lowerPrefixes, n));
    }
};

#endif
