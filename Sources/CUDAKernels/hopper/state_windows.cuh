// Symmetric states as the kernels of gradients take them: one window of columns of x after another, and of every window the rows of tiles that are
// its columns.
#pragma once
#include "hopper/symmetric_state.cuh"

#if DEGREE <= 2

// The columns of T that are multiplied at once.
constexpr int WINDOW_COLUMNS = 64;
constexpr int WINDOWS = (WIDTH + WINDOW_COLUMNS - 1) / WINDOW_COLUMNS;
static_assert(!HAS_HALVES || WINDOWS == 1, "pairs are taken with all columns");

// Columns from `first` to `end`, and the rows of tiles that they are, by the part of the tiles' first factor. A stage has the rows of as many
// neighbouring first factors as there is room for among the columns of T, one after another as those of one matrix.
template <int number>
struct Window {
    static constexpr int first = WINDOW_COLUMNS * number, end = first + WINDOW_COLUMNS < WIDTH ? first + WINDOW_COLUMNS : WIDTH;
    static constexpr int columns = end - first;
    static constexpr int parts = DEGREE == 1 ? 1 : end / 16 * HALVES;
    static constexpr int begin(int part) { return StateTiles::begin(part) > first ? StateTiles::begin(part) : first; }
    static constexpr int rows(int part) { return end - begin(part); }
    static constexpr int tiles(int part) { return tiles_of_stage(rows(part), WINDOW_COLUMNS); }
};

// Of a stage: a part of a state, or a panel of the normalizer.
constexpr int WINDOW_NUMBERS = panel_numbers(DEGREE == 2 || WIDTH > WINDOW_COLUMNS ? WINDOW_COLUMNS : WIDTH, VALUE_WIDTH);
constexpr int STATE_STAGE = WINDOW_NUMBERS > NORMALIZER_PANEL ? WINDOW_NUMBERS : NORMALIZER_PANEL;

// Brings a window of a state.
template <typename Columns, int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void copy_window(
    Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, elem *stages, const elem *state, int thread
) {
    repeat<Columns::parts>([&](auto number) {
        constexpr int part = decltype(number)::value, rows = Columns::rows(part), tiles = Columns::tiles(part);
        if constexpr (rows > 0) {
            const elem *tile = state + StateTiles::place(part) + 64 * (Columns::begin(part) - StateTiles::begin(part));
#pragma unroll 1
            for (int n = 0; n < PART_FIRSTS; n += tiles) {
                elem *stage = stages + ring.begin(position) * stageNumbers;
#pragma unroll
                for (int i = 0; i < tiles; ++i, tile += StateTiles::numbers(part))
#pragma unroll
                    for (int column = 0; column < VALUE_WIDTH; column += 64)
                        ring.template copy<64 * rows>(
                            position, stage + column * rows * tiles + 64 * rows * i, tile + column * StateTiles::rows(part), thread);
                ring.end(position);
            }
        }
    });
#pragma unroll 1
    for (int n = 0; n < PAIR_TILES; ++n) {
        elem *stage = stages + ring.begin(position) * stageNumbers;
        ring.template copy<PAIR_NUMBERS>(position, stage, state + PAIR_PLACE + n * PAIR_NUMBERS, thread);
        ring.end(position);
    }
}

// Brings a state window by window, and its normalizer where that has a gradient: always where rows are normalized, else of the state after the
// last token alone.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void copy_state_gradient(
    Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, elem *stages, const elem *state, int thread, bool hasNormalizer
) {
    repeat<WINDOWS>([&](auto number) {
        constexpr int window = decltype(number)::value;
        if (hasNormalizer) copy_normalizer<stageNumbers>(ring, position, stages, state, window, thread);
        copy_window<Window<window>, stageNumbers>(ring, position, stages, state, thread);
    });
}

#endif
