// A layer with GELU, and the gradient of what goes into it, from rows x of activations or y of gradients and a weight:
//
//     forward     h = x · w,   activated = gelu(h),   slopes = gelu′(h)
//     backward    ∂h = (y · w) slopes
//
// in its tanh form (Hendrycks, Gimpel 2016): with u = 2 √(2/π) (h + 0.044715 h³) and σ = 1 / (1 + e^−u), gelu(h) = h σ and gelu′(h) = σ + h σ (1 − σ) u′.
//
// A slope is a byte, (byte − 26) / 203: they lie between −0.13 and 1.13, 0 and 1 are exact, and the others err by no more than numbers near 1 do
// when they are rounded to bfloat16. They stand in the order in which a lane needs them: for every tile, warp and piece 16 bytes of each lane.
// Grid and shared memory: hopper/product.cuh.
#include "common/fragments.cuh"
#include "hopper/product.cuh"

constexpr float SLOPE_STEPS = 203, ZERO_SLOPE = 26;
// Whose last byte is what is added to it.
constexpr float BYTE_BASE = 8388608;

// Where a warp's for a tile begin, PIECES times 32 lanes. Tiles are in rows of `columnTiles`.
__device__ __forceinline__ size_t slopes_place(int row, int column, int columnTiles) {
    const size_t tile = static_cast<size_t>(row / TILE_ROWS) * columnTiles + column / TILE_COLUMNS;
    return (tile * (TILE_ROWS / 16) + row % TILE_ROWS / 16) * PIECES * 32;
}

// gelu(h), and the last byte of a word with the byte of gelu′(h).
struct Unit {
    float activated;
    unsigned slope;

    __device__ __forceinline__ explicit Unit(float h) {
        constexpr float LOG2_E = 1.4426950408889634f, SCALE = 2 * 0.7978845608028654f, CUBE = 0.044715f;
        const float square = h * h;
        // Above 2^64 all are alike, but their product with 1 / (1 + e^−u) is a number.
        const float exponential = exp2_flushed(fminf(h * (-SCALE * LOG2_E - SCALE * LOG2_E * CUBE * square), 64));
        const float sigmoid = reciprocal(1 + exponential);
        activated = h * sigmoid;
        const float change = exponential * sigmoid * (SCALE + 3 * SCALE * CUBE * square);
        slope = __float_as_uint((sigmoid + activated * change) * SLOPE_STEPS + (BYTE_BASE + ZERO_SLOPE));
    }
};

struct Activation {
    const TensorMap &activated;
    uint4 *slopes;
    int columnTiles;

    __device__ __forceinline__ void begin(int, int) {}

    // Float16 has three more digits than bfloat16, and all of the range that counts here.
    __device__ __forceinline__ void pack(unsigned (&words)[TILE_WORDS], const float (&products)[TILE_COLUMNS / 2], int) const {
#pragma unroll
        for (int n = 0; n < TILE_WORDS; ++n) words[n] = pack_float16(products[2 * n], products[2 * n + 1]);
    }

    template <int piece>
    __device__ __forceinline__ void finish(const PackedTile &tile, const ResultPanels &panels) const {
        if (piece % 2 == 0) panels.begin<1>();
        unsigned bytes[4];
#pragma unroll
        for (int n = 0; n < PIECE_WORDS; n += 4) {
            unsigned four[4], pairs[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const unsigned two = tile.words[PIECE_WORDS * piece + n + i];
                const Unit left(float16_to_float(two & 0xffff)), right(float16_to_float(two >> 16));
                four[i] = pack_bfloat16(left.activated, right.activated);
                pairs[i] = __byte_perm(left.slope, right.slope, 0x0040);
            }
            panels.store(piece / 2, 32 * (piece % 2) + 4 * n, four);
#pragma unroll
            for (int i = 0; i < 2; ++i) bytes[n / 2 + i] = __byte_perm(pairs[2 * i], pairs[2 * i + 1], 0x5410);
        }
        slopes[slopes_place(tile.row, tile.column, columnTiles) + 32 * piece + Place().lane] = make_uint4(bytes[0], bytes[1], bytes[2], bytes[3]);
        if (piece % 2 == 1) panels.leave(piece / 2, activated, tile.row, tile.column + 32 * (piece - 1));
    }
};

struct ActivationGradient {
    const TensorMap &result;
    const uint4 *slopes;
    int columnTiles;
    // Those of the warp for the tile that is multiplied and for the one that is finished, and those of the lane for the next piece, which are loaded one
    // piece early.
    const uint4 *own, *finished;
    uint4 next;

    // Memory answers later than that: it is asked while the tile is multiplied.
    __device__ __forceinline__ void begin(int row, int column) {
        own = slopes + slopes_place(row, column, columnTiles);
        prefetch(own + 128 / sizeof(uint4) * Place().lane);
    }

    __device__ __forceinline__ void pack(unsigned (&words)[TILE_WORDS], const float (&products)[TILE_COLUMNS / 2], int) {
        finished = own;
        load<0>();
#pragma unroll
        for (int n = 0; n < TILE_WORDS; ++n)
            words[n] = pack_bfloat16(products[2 * n] * (1 / SLOPE_STEPS), products[2 * n + 1] * (1 / SLOPE_STEPS));
    }

    template <int piece>
    __device__ __forceinline__ void finish(const PackedTile &tile, const ResultPanels &panels) {
        const unsigned bytes[4] = {next.x, next.y, next.z, next.w};
        if constexpr (piece + 1 < PIECES) load<piece + 1>();
        if (piece % 2 == 0) panels.begin<1>();
#pragma unroll
        for (int n = 0; n < PIECE_WORDS; n += 4) {
            unsigned four[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const unsigned two = tile.words[PIECE_WORDS * piece + n + i], own = bytes[(n + i) / 2];
                const float left = number(own, 2 * (i % 2)), right = number(own, 2 * (i % 2) + 1);
                four[i] = pack_bfloat16(low_bfloat16(two) * left, high_bfloat16(two) * right);
            }
            panels.store(piece / 2, 32 * (piece % 2) + 4 * n, four);
        }
        if (piece % 2 == 1) panels.leave(piece / 2, result, tile.row, tile.column + 32 * (piece - 1));
    }

private:
    template <int piece>
    __device__ __forceinline__ void load() {
        next = finished[32 * piece + Place().lane];
    }

    // SLOPE_STEPS times a slope.
    __device__ __forceinline__ static float number(unsigned bytes, int n) {
        return __uint_as_float(__byte_perm(bytes, __float_as_uint(BYTE_BASE), 0x7440 | n)) - (BYTE_BASE + ZERO_SLOPE);
    }
};

// Rows of w are those of the weight.
extern "C" __global__ void __launch_bounds__(THREADS, 1) multiply_gelu(
    const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap activated,
    uint4 *__restrict__ slopes, int rows, int width, int columns
) {
    Activation results = {activated, slopes, column_tiles(columns)};
    multiply_rows<false>(x, weights, rows, columns, width, results);
}

// Columns of w are those of the weight.
extern "C" __global__ void __launch_bounds__(THREADS, 1) multiply_gelu_gradient(
    const __grid_constant__ TensorMap y, const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap result,
    const uint4 *__restrict__ slopes, int rows, int width, int columns
) {
    ActivationGradient results = {result, slopes, column_tiles(columns)};
    multiply_rows<true>(y, weights, rows, columns, width, results);
}
