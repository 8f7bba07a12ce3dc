// Queries, keys and values of rows x of activations, heads of 64 columns, by one product with the rows of their weights, queries' first, then keys',
// then values', whatever stands behind: queries and keys turned by the angles of their positions as layers/pointwise.cu turns them, with the largest
// magnitude of every head. Grid and shared memory: hopper/product.cuh.
#include "common/fragments.cuh"
#include "hopper/product.cuh"

constexpr int HEAD = 64, HALF = HEAD / 2;

struct Projections {
    const TensorMap &queries, &keys, &values;
    const float *cosines, *sines;
    float *queryMagnitudes, *keyMagnitudes;
    int rows, heads, keyHeads, length;
    // Where the angles of the lane's two rows stand, and those of the next piece: they are loaded one piece early.
    int anglePlaces[2];
    float2 cosine[4], sine[4];
    // Of the heads at hand and rows g and g + 8, two numbers of which the larger counts.
    unsigned largest[2][2];

    __device__ __forceinline__ void begin(int, int) {}

    __device__ __forceinline__ void pack(unsigned (&words)[TILE_WORDS], const float (&products)[TILE_COLUMNS / 2], int row) {
        const Place at;
#pragma unroll
        for (int half = 0; half < 2; ++half) anglePlaces[half] = min(row + at.g + 8 * half, rows - 1) % length * HALF + 2 * at.t;
        load_angles<0>();
#pragma unroll
        for (int n = 0; n < TILE_WORDS; ++n) words[n] = pack_bfloat16(products[2 * n], products[2 * n + 1]);
    }

    // Two heads, which have the same angles, take turns: columns 0 to 15 of both with their partners in the other half, then 16 to 31.
    template <int piece>
    __device__ __forceinline__ void finish(const PackedTile &tile, const ResultPanels &panels) {
        constexpr int member = piece % 2, within = piece / 4 * 2 + member, part = piece / 2 % 2;
        const int head = tile.column / HEAD + within;
        if (piece % 4 == 0) panels.begin<0>();
        const bool isTurned = head < heads + keyHeads;
        if (head < heads + 2 * keyHeads) {
            unsigned first[4], second[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                first[i] = tile.words[16 * within + 4 * part + i], second[i] = tile.words[16 * within + 8 + 4 * part + i];
                if (!isTurned) continue;
                turn(first[i], second[i], cosine[i], sine[i]);
                unsigned &size = largest[member][i % 2];
                size = larger_sizes_bfloat16(part == 0 && i < 2 ? 0 : size, larger_sizes_bfloat16(first[i], second[i]));
            }
            panels.store(within, 16 * part, first);
            panels.store(within, HALF + 16 * part, second);
            if (part == 1) leave(tile, panels, within, head, largest[member]);
        }
        if (member == 1 && piece < PIECES - 1) load_angles<1 - part>();
    }

private:
    // Those of columns 16 · part to 16 · part + 15, in the order of words.
    template <int part>
    __device__ __forceinline__ void load_angles() {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int place = anglePlaces[i % 2] + 16 * part + i / 2 * 8;
            cosine[i] = *reinterpret_cast<const float2 *>(cosines + place);
            sine[i] = *reinterpret_cast<const float2 *>(sines + place);
        }
    }

    // A head is complete.
    __device__ __forceinline__ void leave(
        const PackedTile &tile, const ResultPanels &panels, int number, int head, const unsigned (&sizes)[2]
    ) const {
        const bool isQuery = head < heads, isTurned = head < heads + keyHeads;
        const int place = isQuery ? head : isTurned ? head - heads : head - heads - keyHeads;
        panels.leave(number, isQuery ? queries : isTurned ? keys : values, tile.row, HEAD * place);
        if (!isTurned) return;
        const Place at;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float size = fmaxf(fabsf(low_bfloat16(sizes[half])), fabsf(high_bfloat16(sizes[half])));
            size = fmaxf(size, __shfl_xor_sync(~0u, size, 1));
            size = fmaxf(size, __shfl_xor_sync(~0u, size, 2));
            const int row = tile.row + at.g + 8 * half;
            if (at.t != 0 || row >= rows) continue;
            (isQuery ? queryMagnitudes : keyMagnitudes)[static_cast<size_t>(row) * (isQuery ? heads : keyHeads) + place] = size;
        }
    }

    // Two pairs of numbers by two angles.
    __device__ __forceinline__ static void turn(unsigned &a, unsigned &b, float2 cosine, float2 sine) {
        const float2 x = {low_bfloat16(a), high_bfloat16(a)}, y = {low_bfloat16(b), high_bfloat16(b)};
        a = pack_bfloat16(x.x * cosine.x - y.x * sine.x, x.y * cosine.y - y.y * sine.y);
        b = pack_bfloat16(x.x * sine.x + y.x * cosine.x, x.y * sine.y + y.y * cosine.y);
    }
};

// Row r turns by the angles in row r mod `length` of cosines and sines, [length, 32].
extern "C" __global__ void __launch_bounds__(THREADS, 1) project_heads(
    const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap queries,
    const __grid_constant__ TensorMap keys, const __grid_constant__ TensorMap values, const float *__restrict__ cosines,
    const float *__restrict__ sines, float *__restrict__ queryMagnitudes, float *__restrict__ keyMagnitudes, int rows, int width, int heads,
    int keyHeads, int length
) {
    Projections results = {queries, keys, values, cosines, sines, queryMagnitudes, keyMagnitudes, rows, heads, keyHeads, length};
    multiply_rows<false>(x, weights, rows, HEAD * (heads + 2 * keyHeads), width, results);
}
