// Products of rows x of activations and rows or columns w of a weight, x · w for all pairs, whose results are finished beside the products that follow: where
// a result is more than a sum, cuBLASLt has no kernel for it, or one in which nothing is multiplied meanwhile.
//
// Two warpgroups multiply 64 rows each of a tile [TILE_ROWS, TILE_COLUMNS], and pack the sums in words of two numbers of 16 bits; they finish them
// in PIECES, one beside each of the first steps of the next tile, if it has so many. One warp brings tiles of x and w. Grid: any number of blocks,
// which take tiles in turns. Shared memory: STAGES of x [TILE_ROWS, DEPTH] and w [TILE_COLUMNS, DEPTH], or of columns [DEPTH, TILE_COLUMNS], in panels; two panels [16, 64] of results for
// every warp; barriers.
#pragma once
#include "common/repeat.cuh"
#include "hopper/panels.cuh"

constexpr int TILE_ROWS = 128, TILE_COLUMNS = 256, DEPTH = 64, CONSUMERS = 2;
constexpr int THREADS = 128 * (CONSUMERS + 1), PRODUCER_THREADS = 32;
constexpr int PRODUCER_REGISTERS = 24, CONSUMER_REGISTERS = 240;
static_assert(share_registers(CONSUMERS, PRODUCER_REGISTERS, CONSUMER_REGISTERS), "registers for all");
constexpr int VECTOR_TILE = panel_numbers(TILE_ROWS, DEPTH), WEIGHT_TILE = panel_numbers(TILE_COLUMNS, DEPTH);
constexpr int STAGE = VECTOR_TILE + WEIGHT_TILE, PANEL = panel_numbers(16, 64);
constexpr int PIECES = 8, TILE_WORDS = TILE_COLUMNS / 4, PIECE_WORDS = TILE_WORDS / PIECES;
static_assert(MATH == 0 && INPUT == 2, "rows in bfloat16");
// So many rows of tiles are done column by column: their columns of w are then in the second-level cache.
constexpr int ROWS_TOGETHER = 32;

__device__ __forceinline__ int column_tiles(int columns) { return (columns + TILE_COLUMNS - 1) / TILE_COLUMNS; }

// Where a tile of the result begins.
struct ProductTile {
    int row, column;

    __device__ __forceinline__ ProductTile(int number, int rowTiles, int columnTiles) {
        const int group = number / (ROWS_TOGETHER * columnTiles), first = group * ROWS_TOGETHER;
        const int together = min(ROWS_TOGETHER, rowTiles - first), within = number - first * columnTiles;
        row = (first + within % together) * TILE_ROWS, column = within / together * TILE_COLUMNS;
    }
};

// What a warp has of a tile whose products are over: its 16 rows, from the first on. Word 2n of a lane has columns 8n + 2t and 8n + 2t + 1 of row
// g, word 2n + 1 those of row g + 8.
struct PackedTile {
    unsigned words[TILE_WORDS];
    int row, column;
};

// The panels of results of a warp. A matrix of 8 x 8 numbers stands in a register of its lanes, those of 16 rows and 16 columns in four.
struct ResultPanels {
    elem *first;

    __device__ __forceinline__ elem *panel(int number) const { return first + number % 2 * PANEL; }

    // Waits until a panel may be written again, where `pending` of the two may still be on their way.
    template <int pending>
    __device__ __forceinline__ void begin() const {
        const Place at;
        if (at.lane == 0) wait_bulk_reads<pending>();
        __syncwarp();
    }

    __device__ __forceinline__ void store(int number, int column, const unsigned (&four)[4]) const {
        const Place at;
        store_matrices(panel(number) + panel_place(at.lane % 16, column + at.lane / 16 * 8, 16), four);
    }

    // The panel is complete.
    __device__ __forceinline__ void leave(int number, const TensorMap &result, int row, int column) const {
        const Place at;
        fence_products();
        __syncwarp();
        if (at.lane == 0) {
            store_box(result, row, column, panel(number));
            commit_bulk_stores();
        }
    }
};

// All tiles of a block, `width` the length of x and w; `byColumns` w are columns of the weight. For a warp's rows of every tile `results` gets
//
//     begin(row, column)               before its products,
//     pack(words, products, row)       after them, and
//     finish<piece>(tile, panels)      for all pieces, later
template <bool byColumns, typename Results>
__device__ __forceinline__ void multiply_rows(
    const TensorMap &x, const TensorMap &weights, int rows, int columns, int width, Results &results
) {
    extern __shared__ __align__(1024) unsigned char memory[];
    elem *stages = reinterpret_cast<elem *>(memory), *panels = stages + STAGES * STAGE;
    Ring<STAGES, CONSUMERS, PRODUCER_THREADS> ring(reinterpret_cast<unsigned long long *>(panels + 4 * CONSUMERS * 2 * PANEL));
    const int thread = thread_index(), consumer = warpgroup_index() - 1;
    if (thread == 0) ring.initialize();
    fence_products();
    __syncthreads();
    const int rowTiles = (rows + TILE_ROWS - 1) / TILE_ROWS, columnTiles = column_tiles(columns);
    const int tiles = rowTiles * columnTiles, steps = (width + DEPTH - 1) / DEPTH;

    if (consumer < 0) {
        lower_registers<PRODUCER_REGISTERS>();
        if (thread >= PRODUCER_THREADS) return;
        RingPosition<STAGES> position;
        for (int number = blockIdx.x; number < tiles; number += gridDim.x) {
            const ProductTile tile(number, rowTiles, columnTiles);
#pragma unroll 1
            for (int step = 0; step < steps; ++step) {
                elem *stage = stages + ring.begin(position) * STAGE;
                if (thread == 0) {
                    ring.copy_box<VECTOR_TILE>(position, stage, x, tile.row, DEPTH * step);
                    elem *own = stage + VECTOR_TILE;
                    if constexpr (byColumns) {
                        constexpr int panel = panel_numbers(DEPTH, 64);
#pragma unroll
                        for (int n = 0; n < TILE_COLUMNS / 64; ++n)
                            ring.copy_box<panel>(position, own + n * panel, weights, DEPTH * step, tile.column + 64 * n);
                    } else {
                        ring.copy_box<WEIGHT_TILE>(position, own, weights, tile.column, DEPTH * step);
                    }
                }
                ring.end(position);
            }
        }
        return;
    }

    raise_registers<CONSUMER_REGISTERS>();
    const Place at;
    const ResultPanels own = {panels + (4 * consumer + at.warp) * 2 * PANEL};
    RingPosition<STAGES> position, before;
    float products[TILE_COLUMNS / 2];
    PackedTile packed;
    bool isPending = false;
    auto multiply = [&](bool isFirst) {
        ring.wait_full(position);
        const elem *stage = stages + position.stage * STAGE;
        const unsigned long long left = panel_descriptor(stage + 64 * 64 * consumer, TILE_ROWS, false);
        const unsigned long long right = panel_descriptor(stage + VECTOR_TILE, byColumns ? DEPTH : TILE_COLUMNS, byColumns);
        products_begin();
#pragma unroll
        for (int k = 0; k < DEPTH; k += 16)
            multiply_group<byColumns>(
                products, panel_advance(left, k), panel_advance(right, byColumns ? panel_offset(k, 0, DEPTH) : k), !isFirst || k > 0);
        products_commit();
    };
    auto advance = [&] {
        before = position;
        position.advance();
    };
    for (int number = blockIdx.x; number < tiles; number += gridDim.x) {
        const ProductTile tile(number, rowTiles, columnTiles);
        const int row = tile.row + 64 * consumer + 16 * at.warp;
        results.begin(row, tile.column);
        repeat<PIECES>([&](auto piece) {
            constexpr int step = decltype(piece)::value;
            if (step < steps) multiply(step == 0);
            if (isPending) results.template finish<step>(packed, own);
            if (step >= steps) return;
            if (step > 0) {
                products_wait<1>();
                ring.release(before, at.lane);
            }
            advance();
        });
#pragma unroll 1
        for (int step = PIECES; step < steps; ++step) {
            multiply(false);
            products_wait<1>();
            ring.release(before, at.lane);
            advance();
        }
        products_wait<0>();
        products_use(products);
        ring.release(before, at.lane);
        results.pack(packed.words, products, row);
        packed.row = row, packed.column = tile.column;
        isPending = true;
    }
    if (isPending) repeat<PIECES>([&](auto piece) { results.template finish<decltype(piece)::value>(packed, own); });
    if (at.lane == 0) wait_bulk_stores();
}
