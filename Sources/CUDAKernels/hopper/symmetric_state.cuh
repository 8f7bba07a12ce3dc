// States of degrees 1 and 2 as the attention kernels of Hopper read them: the symmetric tensor itself, without coefficients, but only one
// order of factors of different groups of 16. For every first factor j, of which degree 1 has one that is 1, stands a tile of rows i, from the
// first of its group to WIDTH − 1, and VALUE_WIDTH columns in panels, as shared memory has it; then the whole normalizer Z in panels, [WIDTH,
// WIDTH], or at degree 1 the first of 16 rows. With x a query, and factors of different groups counted twice,
//
//     y_c = Σ_j x_j Σ_i x_i S_jic    T_ji = Σ_c ∂y_c S_jic
//
// For outputs the left operand is rows in registers times one number of each, for T (symmetric_gradient.cuh) rows as they are, and a tile is
// the right operand as it is: its rows are k in one, its columns in the other.
#pragma once
#include "common/expansion.cuh"
#include "common/repeat.cuh"
#include "hopper/row_operands.cuh"

#if DEGREE <= 2

constexpr int FIRSTS = DEGREE == 1 ? 1 : WIDTH;
// Columns of x come in groups of 16, and first factors in as many, of which loops take a few at once.
constexpr int COLUMN_GROUPS = WIDTH / 16;
constexpr int FIRST_GROUPS = DEGREE == 1 ? 1 : COLUMN_GROUPS;
constexpr int GROUP_FIRSTS = FIRSTS / FIRST_GROUPS;
constexpr int FIRSTS_AT_ONCE = DEGREE == 1 ? 1 : 4;
constexpr int NORMALIZER_ROWS = DEGREE == 1 ? 16 : WIDTH;
constexpr int NORMALIZER_PANELS = (WIDTH + 63) / 64;
constexpr int NORMALIZER_PANEL = 64 * NORMALIZER_ROWS;
constexpr int NORMALIZER_NUMBERS = NORMALIZER_PANELS * NORMALIZER_PANEL;

// How many tiles of so many numbers, or rows, 1, 2 or 4, a stage with room for so many takes.
constexpr int tiles_of_stage(int numbers, int room) { return DEGREE == 1 || 2 * numbers > room ? 1 : 4 * numbers > room ? 2 : 4; }

// Where tiles stand in a state.
struct StateTiles {
    // Of the tile of a first factor of a group.
    static constexpr int rows(int group) { return WIDTH - 16 * group; }
    static constexpr int numbers(int group) { return panel_numbers(rows(group), VALUE_WIDTH); }
    // Of the first tile of a group.
    static constexpr int place(int group) { return GROUP_FIRSTS * panel_numbers(group * WIDTH - 8 * group * (group - 1), VALUE_WIDTH); }
};

constexpr int LARGEST_TILE = StateTiles::numbers(0);
constexpr int NORMALIZER_PLACE = StateTiles::place(FIRST_GROUPS);
constexpr int STATE_NUMBERS = NORMALIZER_PLACE + NORMALIZER_NUMBERS;

// Where numbers of feature n of a block stand: in the normalizer those of features of different groups in both orders of their factors.
struct SymmetricPlace {
    int first, row;

    __device__ __forceinline__ SymmetricPlace(unsigned block, int n) :
        first(DEGREE == 1 ? 0 : prefix_index(block, 0)), row(16 * last_index(block) + n) {}

    // Of numbers from a column of the values on.
    __device__ __forceinline__ int values(int column) const {
        const int group = first / 16;
        return StateTiles::place(group) + first % 16 * StateTiles::numbers(group) + panel_place(row - 16 * group, column, StateTiles::rows(group));
    }

    // body(place) of numbers of the normalizer.
    template <typename Body>
    __device__ __forceinline__ void normalizer(Body body) const {
        body(NORMALIZER_PLACE + panel_place(first, row, NORMALIZER_ROWS));
        if (DEGREE == 2 && first / 16 != row / 16) body(NORMALIZER_PLACE + panel_place(row, first, NORMALIZER_ROWS));
    }
};

// Brings a panel of the normalizer.
template <int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void copy_normalizer(
    Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, elem *stages, const elem *state, int panel, int thread
) {
    elem *stage = stages + ring.begin(position) * stageNumbers;
    ring.template copy<NORMALIZER_PANEL>(position, stage, state + NORMALIZER_PLACE + panel * NORMALIZER_PANEL, thread);
    ring.end(position);
}

// Brings all tiles of a state, as many a stage as there is room for; stages are `stageNumbers` apart.
template <int room, int stageNumbers, int stageCount, int groups>
__device__ __forceinline__ void copy_tiles(Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, elem *stages, const elem *state) {
    repeat<FIRST_GROUPS>([&](auto group) {
        constexpr int number = decltype(group)::value, tiles = tiles_of_stage(StateTiles::numbers(number), room);
        constexpr int count = tiles * StateTiles::numbers(number);
#pragma unroll 1
        for (int n = 0; n < GROUP_FIRSTS / tiles; ++n) {
            elem *stage = stages + ring.begin(position) * stageNumbers;
            ring.template copy<count>(position, stage, state + StateTiles::place(number) + n * count, thread_index() % 128);
            ring.end(position);
        }
    });
}

// Four neighbouring first factors of the lane's rows g and g + 8, from column `first` on. At degree 1 there is none, and one stands for it.
template <int matrixRows>
struct FirstFactors {
#if DEGREE == 1
    __device__ __forceinline__ void load(const elem *, int, int) {}
    __device__ __forceinline__ uint2 pair(int) const { return make_uint2(0x3f803f80, 0x3f803f80); }
#else
    uint2 upper, lower;

    __device__ __forceinline__ void load(const elem *rows, int first, int lane) {
        const elem *place = rows + panel_place(lane / 4, first, matrixRows);
        upper = *reinterpret_cast<const uint2 *>(place);
        lower = *reinterpret_cast<const uint2 *>(place + 8 * 64);
    }

    // Number n of each in both halves. What is made of it is made here: the compiler would make it before a wait, in registers of its own.
    __device__ __forceinline__ uint2 pair(int n) const {
        uint2 both = both_halves(upper, lower, n);
        asm volatile("" : "+r"(both.x), "+r"(both.y)::"memory");
        return both;
    }
#endif
};

// Pairs of factors of different groups count twice.
__device__ __forceinline__ uint2 both_orders(uint2 first) {
    if (DEGREE == 1) return first;
    constexpr unsigned two = 0x40004000;
    return make_uint2(multiply_bfloat16(first.x, two), multiply_bfloat16(first.y, two));
}

// Products of rows with a panel of the normalizer, of which it takes the stage; load(operand, n) makes the operand of step n.
template <int stageNumbers, int count, int stageCount, int groups, typename Load>
__device__ __forceinline__ void multiply_normalizer(
    float (&products)[count], Ring<stageCount, groups> &ring, RingPosition<stageCount> &position, const elem *stages, int lane, Load load
) {
    ring.wait_full(position);
    const unsigned long long matrix = panel_descriptor(stages + position.stage * stageNumbers, NORMALIZER_ROWS, true);
    constexpr int atOnce = 2;
#pragma unroll
    for (int first = 0; first < NORMALIZER_ROWS / 16; first += atOnce) {
        unsigned operands[atOnce][4];
#pragma unroll
        for (int n = 0; n < atOnce; ++n)
            if (first + n < NORMALIZER_ROWS / 16) load(operands[n], first + n);
        products_begin();
#pragma unroll
        for (int n = 0; n < atOnce; ++n)
            if (first + n < NORMALIZER_ROWS / 16)
                multiply_group<true>(
                    products, operands[n], panel_advance(matrix, panel_offset(16 * (first + n), 0, NORMALIZER_ROWS)), first + n > 0);
        products_commit();
        products_wait<0>();
    }
    products_use(products);
    ring.release(position, lane);
    position.advance();
}

#endif
