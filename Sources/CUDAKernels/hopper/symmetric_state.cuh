// States of degrees 1 and 2 as the attention kernels of Hopper read them: the symmetric tensor itself, without coefficients, but only one
// order of factors of different groups of 16. For every first factor j, of which degree 1 has one that is 1, stands a tile of rows i, from the
// first of its group to WIDTH − 1, and VALUE_WIDTH columns in panels, as shared memory has it; then the whole normalizer Z in panels, [WIDTH,
// WIDTH], or at degree 1 the first of 16 rows. With x a query, and factors that stand in one order counted twice,
//
//     y_c = Σ_j x_j Σ_i x_i S_jic    T_ji = Σ_c ∂y_c S_jic
//
// Rows of 64 numbers, and values of no more, have but one order of factors of different eights, too (HAS_HALVES), a tenth less: tiles of first factors in the second half of
// a group begin with the next group, and pairs of those have a tile for every group, row 8 a + b that of numbers 8 + a and 8 + b of it.
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
// First factors of a group, or of half of one, whose tiles have the same rows.
constexpr bool HAS_HALVES = DEGREE == 2 && WIDTH == 64 && VALUE_WIDTH <= 64;
constexpr int HALVES = HAS_HALVES ? 2 : 1, FIRST_PARTS = HALVES * FIRST_GROUPS, PART_FIRSTS = GROUP_FIRSTS / HALVES;
constexpr int NORMALIZER_ROWS = DEGREE == 1 ? 16 : WIDTH;
constexpr int NORMALIZER_PANELS = (WIDTH + 63) / 64;
constexpr int NORMALIZER_PANEL = 64 * NORMALIZER_ROWS;
constexpr int NORMALIZER_NUMBERS = NORMALIZER_PANELS * NORMALIZER_PANEL;

// How many tiles of so many numbers, or rows, 1, 2 or 4, a stage with room for so many takes.
constexpr int tiles_of_stage(int numbers, int room) { return DEGREE == 1 || 2 * numbers > room ? 1 : 4 * numbers > room ? 2 : 4; }

// Where tiles stand in a state.
struct StateTiles {
    // Of the tile of a first factor of a part.
    static constexpr int begin(int part) { return 16 * (part / HALVES + part % HALVES); }
    static constexpr int rows(int part) { return WIDTH - begin(part); }
    static constexpr int numbers(int part) { return panel_numbers(rows(part), VALUE_WIDTH); }
    // Of the first tile of a part.
    static constexpr int place(int part) {
        const int group = part / HALVES, before = group * WIDTH - 8 * group * (group - 1);
        return panel_numbers(GROUP_FIRSTS * before - (HAS_HALVES ? 128 * group : 0) + part % HALVES * PART_FIRSTS * rows(part - 1), VALUE_WIDTH);
    }
};

constexpr int LARGEST_TILE = StateTiles::numbers(0);
// Tiles of pairs of the second halves of groups.
constexpr int PAIR_TILES = HAS_HALVES ? COLUMN_GROUPS : 0, PAIR_NUMBERS = panel_numbers(64, VALUE_WIDTH), PAIR_PLACE = StateTiles::place(FIRST_PARTS);
constexpr int NORMALIZER_PLACE = PAIR_PLACE + PAIR_TILES * PAIR_NUMBERS;
constexpr int STATE_NUMBERS = NORMALIZER_PLACE + NORMALIZER_NUMBERS;

// Where numbers of feature n of a block stand: in the normalizer those of features of different groups in both orders of their factors.
struct SymmetricPlace {
    int first, row;

    __device__ __forceinline__ SymmetricPlace(unsigned block, int n) :
        first(DEGREE == 1 ? 0 : prefix_index(block, 0)), row(16 * last_index(block) + n) {}

    // Whether both factors are in one group, the first in its second half: only pairs of that stand there.
    __device__ __forceinline__ bool isPair() const { return HAS_HALVES && first % 16 >= 8 && row / 16 == first / 16; }
    __device__ __forceinline__ bool isStored() const { return !isPair() || row % 16 >= 8; }

    // Of numbers from a column of the values on.
    __device__ __forceinline__ int values(int column) const {
        if (isPair()) return PAIR_PLACE + first / 16 * PAIR_NUMBERS + panel_place(first % 8 * 8 + row % 8, column, 64);
        const int part = first / PART_FIRSTS;
        return StateTiles::place(part) + first % PART_FIRSTS * StateTiles::numbers(part)
            + panel_place(row - StateTiles::begin(part), column, StateTiles::rows(part));
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
    auto copy = [&](auto numbers, int place, int tiles) {
        constexpr int atOnce = tiles_of_stage(decltype(numbers)::value, room), count = atOnce * decltype(numbers)::value;
#pragma unroll 1
        for (int n = 0; n < tiles / atOnce; ++n) {
            elem *stage = stages + ring.begin(position) * stageNumbers;
            ring.template copy<count>(position, stage, state + place + n * count, thread_index() % 128);
            ring.end(position);
        }
    };
    repeat<FIRST_PARTS>([&](auto part) {
        constexpr int number = decltype(part)::value;
        if constexpr (StateTiles::rows(number) > 0) copy(Constant<StateTiles::numbers(number)>(), StateTiles::place(number), PART_FIRSTS);
    });
    if constexpr (HAS_HALVES) copy(Constant<PAIR_NUMBERS>(), PAIR_PLACE, PAIR_TILES);
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

// 16 rows of x, their columns of a group, times a first factor of a part, as they count: twice where it stands in one order with them.
template <int part, int group>
__device__ __forceinline__ void scale_columns(unsigned (&scaled)[4], const unsigned (&columns)[4], uint2 once, uint2 both) {
    constexpr bool isOwn = group == part / HALVES;
    const uint2 left = isOwn ? once : both, right = isOwn && !HAS_HALVES ? once : both;
    scaled[0] = multiply_bfloat16(columns[0], left.x);
    scaled[1] = multiply_bfloat16(columns[1], left.y);
    scaled[2] = multiply_bfloat16(columns[2], right.x);
    scaled[3] = multiply_bfloat16(columns[3], right.y);
}

// The columns of the second half of a group times two neighbouring ones of them: 16 pairs.
__device__ __forceinline__ void make_pairs(unsigned (&pairs)[4], const unsigned (&columns)[4], uint2 one, uint2 next) {
    pairs[0] = multiply_bfloat16(columns[2], one.x);
    pairs[1] = multiply_bfloat16(columns[3], one.y);
    pairs[2] = multiply_bfloat16(columns[2], next.x);
    pairs[3] = multiply_bfloat16(columns[3], next.y);
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
