// Odds of all tokens against a row's target, from rows x of activations and rows w of the output embedding:
//
//     odds[r, j] = exp(x_r · w_j − x_r · w_target),   0 for the target itself,   sums[n, r] = Σ odds[r, j] over column tile n
//
// The target's logit, which is known before (layers/odds.cu), stands in for the largest one: then 1 / (1 + Σ odds) is the target's probability,
// and nobody has to read logits again to make probabilities of them. A token that is 2^96 times as likely as the target, or more, counts as much
// as that; where a logit is no number, or the target's is infinite, nor are the odds. Grid and shared memory: hopper/product.cuh.
#include "common/fragments.cuh"
#include "hopper/product.cuh"

constexpr float LOG2_E = 1.4426950408889634f;
// Twice −96 in float16.
constexpr unsigned LEAST_DIFFERENCES = 0xd600d600;

// Packs differences of logits, (x · w_target − x · w_j) log2 e, in float16, and makes odds of them.
struct Odds {
    const TensorMap &odds;
    const float *references;
    const int *targets;
    float *tileSums;
    int rows, vocabulary;
    bool areStored;
    float reference[2], sums[2];
    // Columns of the tile at hand: the targets', and the end of the vocabulary.
    int target[2], end;

    __device__ __forceinline__ void begin(int row, int column) {
        const Place at;
        end = vocabulary - column;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int place = min(row + at.g + 8 * half, rows - 1);
            reference[half] = references[place];
            target[half] = targets[place] - column;
        }
    }

    __device__ __forceinline__ void pack(unsigned (&words)[TILE_WORDS], float (&products)[TILE_COLUMNS / 2], int) const {
        const Place at;
        const bool hasTarget = static_cast<unsigned>(target[0]) < TILE_COLUMNS || static_cast<unsigned>(target[1]) < TILE_COLUMNS;
        if (__any_sync(~0u, hasTarget || end < TILE_COLUMNS)) {
#pragma unroll
            for (int n = 0; n < TILE_COLUMNS / 2; ++n) {
                const int column = n / 4 * 8 + 2 * at.t + n % 2;
                if (column == target[n / 2 % 2] || column >= end) products[n] = __int_as_float(0xff800000);
            }
        }
#pragma unroll
        for (int n = 0; n < TILE_WORDS; ++n)
            words[n] = pack_float16(reference[n % 2] - products[2 * n] * LOG2_E, reference[n % 2] - products[2 * n + 1] * LOG2_E);
    }

    template <int piece>
    __device__ __forceinline__ void finish(const PackedTile &tile, const ResultPanels &panels) {
        if (piece == 0) sums[0] = sums[1] = 0;
        if (areStored && piece % 2 == 0) panels.begin<1>();
#pragma unroll
        for (int n = 0; n < PIECE_WORDS; n += 4) {
            unsigned four[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const unsigned two = larger_or_nan_float16(tile.words[PIECE_WORDS * piece + n + i], LEAST_DIFFERENCES);
                const float left = exp2_flushed(-float16_to_float(two & 0xffff)), right = exp2_flushed(-float16_to_float(two >> 16));
                sums[i % 2] += left;
                sums[i % 2] += right;
                four[i] = pack_bfloat16(left, right);
            }
            if (areStored) panels.store(piece / 2, 32 * (piece % 2) + 4 * n, four);
        }
        if (areStored && piece % 2 == 1) panels.leave(piece / 2, odds, tile.row, tile.column + 32 * (piece - 1));
        if constexpr (piece == PIECES - 1) {
            const Place at;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float sum = row_sum(sums[half]);
                const int row = tile.row + at.g + 8 * half;
                if (at.t == 0 && row < rows) tileSums[static_cast<size_t>(tile.column / TILE_COLUMNS) * rows + row] = sum;
            }
        }
    }
};

// `references` are x · w_target log2 e, infinity for rows that are not scored, whose targets are negative; rows of odds are `stride` long, with zeros
// from `vocabulary` on. Without `areStored` there are sums alone.
extern "C" __global__ void __launch_bounds__(THREADS, 1) multiply_odds(
    const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap odds,
    const float *__restrict__ references, const int *__restrict__ targets, float *__restrict__ sums, int rows, int width, int vocabulary,
    int stride, int areStored
) {
    Odds results = {odds, references, targets, sums, rows, vocabulary, areStored != 0};
    multiply_rows<false>(x, weights, rows, stride, width, results);
}
