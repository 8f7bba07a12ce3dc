// φ of degree 3 or 4 of 64 rows in registers, from rows in panels (common/expansion.cuh has the order of features). Of lower degrees the
// attention kernels read states that are symmetric (symmetric_state.cuh).
#pragma once
#include "common/expansion.cuh"
#include "hopper/row_operands.cuh"

// Whether rows also stand as pairs in shared memory: a word for a column of two rows that are 8 apart, as a lane has them. What multiplies
// both is loaded and multiplied at once. Wide rows leave no room.
constexpr bool HAS_PAIRS = STATES && DEGREE > 2 && WIDTH <= 64;
// The words of a warp's pairs of 16 rows.
constexpr int PAIR_WORDS = HAS_PAIRS ? 8 * WIDTH : 0;

#if DEGREE > 2

// Whether two tiles share their first and last factors, by the words of their first blocks.
__device__ __forceinline__ bool has_factors_of(unsigned word, unsigned other) { return ((word ^ other) & 0xff0000ff) == 0; }

// How far a column is from the one before it where rows stand in pairs, in bytes.
constexpr int PAIR_COLUMN = 32;

// A tile of 64 features, four blocks: the word of the first, which says where their first and last factors are, and the indices of the
// other factors, which they share, each times PAIR_COLUMN: one addition makes an address.
struct FeatureTile {
    unsigned word;
    int others[DEGREE - 2];

    // From the words of its blocks, as share_words leaves them.
    __device__ __forceinline__ explicit FeatureTile(uint4 words) : word(words.x) {
#pragma unroll
        for (int n = 0; n < DEGREE - 2; ++n) others[n] = WORDS > 0 ? (n == 0 ? words.y : words.z) : PAIR_COLUMN * prefix_index(word, n + 1);
    }

    // Whether the first and the last factors are those of a block, too.
    __device__ __forceinline__ bool hasFactorsOf(unsigned other) const { return has_factors_of(word, other); }
};

// The words of `stages` stages of 64 features, four of each: copied to shared memory by all threads of a block, where WORDS is not 0, with the
// indices that a FeatureTile wants in the place of those that follow from the first.
__device__ __forceinline__ const uint4 *share_words(const unsigned *blocks, int stages, uint4 *shared, int index, int threads) {
    const uint4 *words = reinterpret_cast<const uint4 *>(blocks);
#if WORDS > 0
    for (int n = index; n < stages; n += threads) {
        const unsigned word = words[n].x;
        shared[n] = make_uint4(word, PAIR_COLUMN * prefix_index(word, 1), PAIR_COLUMN * prefix_index(word, DEGREE - 2), 0);
    }
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

// Rows of one warp: `sets` of 16, `setNumbers` apart, in a matrix of `matrixRows`.
template <int matrixRows, int sets = 1, int setNumbers = 0>
struct RowFeatures {
    const unsigned char *rows;
    // Those of the lane's rows g and g + 8 of each set.
    const unsigned *pairs;
    // Where column 0 of the first of the lane's two rows stands, and of its row of the matrices that are loaded at once; in bytes, as they are
    // added.
    int own, loaded;
#if WIDTH == 16
    unsigned all[sets][4];
#endif

    // `rows` points to the first of all, `room` to PAIR_WORDS of each set that are the warp's.
    __device__ __forceinline__ RowFeatures(const elem *rows, unsigned *room, int lane)
        : rows(reinterpret_cast<const unsigned char *>(rows)), pairs(room + lane / 4), own(128 * (lane / 4) + lane / 4 * 16),
          loaded(128 * (lane % 16) + (lane % 8 ^ lane / 16) * 16) {
#pragma unroll
        for (int set = 0; set < sets; ++set) {
#if WIDTH == 16
            load_matrices(all[set], number(loaded, 0, set));
#endif
#pragma unroll
            for (int n = 0; HAS_PAIRS && n < WIDTH / 16; ++n) {
                unsigned step[4];
                load_matrices(step, number(loaded, 32 * n, set));
                unsigned *place = room + set * PAIR_WORDS + 8 * (16 * n + lane % 4 * 2) + lane / 4;
                place[0] = __byte_perm(step[0], step[1], 0x5410), place[8] = __byte_perm(step[0], step[1], 0x7632);
                place[64] = __byte_perm(step[2], step[3], 0x5410), place[72] = __byte_perm(step[2], step[3], 0x7632);
            }
        }
        if (HAS_PAIRS) __syncwarp();
    }

    // Numbers of a column of the lane's two rows; columns are given times PAIR_COLUMN.
    __device__ __forceinline__ unsigned pair(int column, int set) const {
        if constexpr (HAS_PAIRS)
            return *reinterpret_cast<const unsigned *>(reinterpret_cast<const char *>(pairs + set * PAIR_WORDS) + column);
        const elem *numbers = number(own, column / (PAIR_COLUMN / 2), set);
        return __byte_perm(numbers[0], numbers[8 * 64], 0x5410);
    }

    // That of row g + 8 · half of the first set.
    __device__ __forceinline__ float number(int column, int half) const {
        if constexpr (HAS_PAIRS)
            return bfloat16_to_float(*reinterpret_cast<const elem *>(reinterpret_cast<const char *>(pairs) + (2 * half + column)));
        return bfloat16_to_float(number(own, column / (PAIR_COLUMN / 2), 0)[8 * 64 * half]);
    }

    // Those of four columns, the first a multiple of four.
    __device__ __forceinline__ void load_firsts(unsigned (&firsts)[4], unsigned block, int set) const {
        const int column = prefix_index(block, 0);
        if constexpr (HAS_PAIRS) {
#pragma unroll
            for (int n = 0; n < 4; ++n) firsts[n] = pair(PAIR_COLUMN * (column + n), set);
        } else {
            const elem *numbers = number(own, 2 * column, set);
            const uint2 upper = *reinterpret_cast<const uint2 *>(numbers), lower = *reinterpret_cast<const uint2 *>(numbers + 8 * 64);
            firsts[0] = __byte_perm(upper.x, lower.x, 0x5410), firsts[1] = __byte_perm(upper.x, lower.x, 0x7632);
            firsts[2] = __byte_perm(upper.y, lower.y, 0x5410), firsts[3] = __byte_perm(upper.y, lower.y, 0x7632);
        }
    }

    // The last factors of a block.
    __device__ __forceinline__ void load_last(unsigned (&last)[4], unsigned block, int set) const {
#if WIDTH == 16
#pragma unroll
        for (int n = 0; n < 4; ++n) last[n] = all[set][n];
#else
        load_matrices(last, number(loaded, 32 * last_index(block), set));
#endif
    }

    // Those of the first set as numbers: the four first factors of the lane's two rows, and the last ones in the order of sums of a product.
    __device__ __forceinline__ void load_firsts(float (&firsts)[2][4], unsigned block) const {
        unsigned numbers[4];
        load_firsts(numbers, block, 0);
#pragma unroll
        for (int n = 0; n < 4; ++n) firsts[0][n] = low_bfloat16(numbers[n]), firsts[1][n] = high_bfloat16(numbers[n]);
    }

    __device__ __forceinline__ void load_last(float (&last)[8], unsigned block) const {
        unsigned numbers[4];
        load_last(numbers, block, 0);
#pragma unroll
        for (int n = 0; n < 4; ++n) last[2 * n] = low_bfloat16(numbers[n]), last[2 * n + 1] = high_bfloat16(numbers[n]);
    }

private:
    __device__ __forceinline__ const elem *number(int first, int column, int set) const {
        const int place = WIDTH > 64 ? (first ^ column % 128) + column / 128 * 128 * matrixRows : first ^ column;
        return reinterpret_cast<const elem *>(rows + place) + set * setNumbers;
    }
};

// The factors of a tile's prefixes that its blocks share, of the lane's two rows: loaded early, because shared memory answers late while products
// read it.
struct OtherFactors {
    unsigned pairs[DEGREE - 2];

    template <typename Features>
    __device__ __forceinline__ void load(const Features &features, const FeatureTile &tile, int set) {
#pragma unroll
        for (int n = 0; n < DEGREE - 2; ++n) pairs[n] = features.pair(tile.others[n], set);
    }

    __device__ __forceinline__ float2 row(int n) const { return make_float2(low_bfloat16(pairs[n]), high_bfloat16(pairs[n])); }

    __device__ __forceinline__ float2 product() const {
        float2 product = row(0);
#pragma unroll
        for (int n = 1; n < DEGREE - 2; ++n) product = make_float2(product.x * row(n).x, product.y * row(n).y);
        return product;
    }

    // The same, rounded, as a pair.
    __device__ __forceinline__ unsigned rounded_product() const {
        unsigned product = pairs[0];
#pragma unroll
        for (int n = 1; n < DEGREE - 2; ++n) product = multiply_bfloat16(product, pairs[n]);
        return product;
    }
};

// What the features of a tile of 64 are made of, of every set of a warp's rows. The four first factors and the 16 last ones stay while tiles
// share them.
template <int sets>
struct FeatureFactors {
    unsigned current, last[sets][4], firsts[sets][4];
    OtherFactors others[sets];

    template <typename Features>
    __device__ __forceinline__ FeatureFactors(const Features &features, const FeatureTile &tile) {
        begin(features, tile);
        loadOthers(features, tile);
    }

    template <typename Features>
    __device__ __forceinline__ void load(const Features &features, const FeatureTile &tile) {
        if (!tile.hasFactorsOf(current)) begin(features, tile);
        loadOthers(features, tile);
    }

    __device__ __forceinline__ void multiply(unsigned (&a)[4][4], int set) const {
        const unsigned product = others[set].rounded_product();
#pragma unroll
        for (int n = 0; n < 4; ++n) scale_rows(a[n], last[set], multiply_bfloat16(firsts[set][n], product));
    }

private:
    template <typename Features>
    __device__ __forceinline__ void begin(const Features &features, const FeatureTile &tile) {
        current = tile.word;
#pragma unroll
        for (int set = 0; set < sets; ++set) {
            features.load_last(last[set], tile.word, set);
            features.load_firsts(firsts[set], tile.word, set);
        }
    }

    template <typename Features>
    __device__ __forceinline__ void loadOthers(const Features &features, const FeatureTile &tile) {
#pragma unroll
        for (int set = 0; set < sets; ++set) others[set].load(features, tile, set);
    }
};

#endif
