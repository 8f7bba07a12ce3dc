// States of degrees 1 and 2 as the attention kernels of Hopper read them: the symmetric tensor itself, without coefficients. For every first
// factor j, of which degree 1 has one that is 1, stands a tile of rows i = 0 … WIDTH − 1 and VALUE_WIDTH columns in panels, as shared memory
// has it; then the normalizer Z in panels, [WIDTH, WIDTH], or at degree 1 the first of 16 rows. With x a query,
//
//     y_c = Σ_j x_j Σ_i x_i S_jic    ∂x_i = p Σ_j x_j Σ_c ∂y_c S_jic
//
// In both, the left operand is rows in registers times one number of each, and a tile is the right operand as it is: its rows are k in one,
// its columns in the other.
#pragma once
#include "common/expansion.cuh"
#include "hopper/row_operands.cuh"

#if DEGREE <= 2

constexpr int FIRSTS = DEGREE == 1 ? 1 : WIDTH;
// Columns of x come in groups of 16, and first factors in as many, of which loops take a few at once.
constexpr int COLUMN_GROUPS = WIDTH / 16;
constexpr int FIRST_GROUPS = DEGREE == 1 ? 1 : COLUMN_GROUPS;
constexpr int GROUP_FIRSTS = FIRSTS / FIRST_GROUPS;
constexpr int FIRSTS_AT_ONCE = DEGREE == 1 ? 1 : 4;
constexpr int FIRST_TILE = panel_numbers(WIDTH, VALUE_WIDTH);
constexpr int NORMALIZER_ROWS = DEGREE == 1 ? 16 : WIDTH;
constexpr int NORMALIZER_PANELS = (WIDTH + 63) / 64;
constexpr int NORMALIZER_PANEL = 64 * NORMALIZER_ROWS;
constexpr int STATE_NUMBERS = FIRSTS * FIRST_TILE + NORMALIZER_PANELS * NORMALIZER_PANEL;

// Where numbers of feature n of a block stand, from a column of the values or of the normalizer on: features of different groups in both orders
// of their factors.
struct SymmetricPlace {
    int own, mirrored;
    bool isMirrored;

    __device__ __forceinline__ SymmetricPlace(unsigned block, int n, int column) {
        const int first = DEGREE == 1 ? 0 : prefix_index(block, 0), row = 16 * last_index(block) + n;
        const bool isNormalizer = column >= VALUE_WIDTH;
        own = isNormalizer ? FIRSTS * FIRST_TILE + panel_place(first, row, NORMALIZER_ROWS) : first * FIRST_TILE + panel_place(row, column, WIDTH);
        mirrored = isNormalizer ? FIRSTS * FIRST_TILE + panel_place(row, first, NORMALIZER_ROWS) : row * FIRST_TILE + panel_place(first, column, WIDTH);
        isMirrored = DEGREE == 2 && first / 16 != row / 16;
    }
};

template <int number>
struct Constant {
    static constexpr int value = number;
};

// body(Constant<0>), …, body(Constant<count − 1>).
template <int count, int first = 0, typename Body>
__device__ __forceinline__ void repeat(Body body) {
    if constexpr (first < count) {
        body(Constant<first>());
        repeat<count, first + 1>(body);
    }
}

// How many tiles of `rows` rows, 1, 2 or 4, a stage of `room` rows takes.
constexpr int tiles_of_stage(int rows, int room) { return DEGREE == 1 || 2 * rows > room ? 1 : 4 * rows > room ? 2 : 4; }

// Numbers as they stand, a multiple of 8, by a warpgroup.
template <int count>
__device__ __forceinline__ void copy_numbers(elem *shared, const elem *global, int thread) {
    static_assert(count % 1024 == 0, "every thread has as much to do");
#pragma unroll
    for (int n = 0; n < count; n += 1024) copy_16(shared + n + thread * 8, global + n + thread * 8, true);
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

// Rows as operands times one number each: from registers, or, where these are few, loaded again each time.
template <int columns, int matrixRows, bool areKept>
struct KeptOperands {
    RowOperands<columns, matrixRows> operands;

    __device__ __forceinline__ KeptOperands(const elem *rows, int lane) : operands(rows, lane) {}

    __device__ __forceinline__ void scale(unsigned (&scaled)[4], int step, uint2 factors) const {
        scale_rows(scaled, operands.steps[step], factors);
    }
};

template <int columns, int matrixRows>
struct KeptOperands<columns, matrixRows, false> {
    const elem *rows;
    int lane;

    __device__ __forceinline__ KeptOperands(const elem *rows, int lane) : rows(rows), lane(lane) {}

    __device__ __forceinline__ void scale(unsigned (&scaled)[4], int step, uint2 factors) const {
        unsigned loaded[4];
        RowOperands<columns, matrixRows>::load(loaded, rows, step, lane);
        scale_rows(scaled, loaded, factors);
    }
};

// Products of rows with the normalizer, or a panel of it; load(operand, n) makes the operand of step n.
template <int count, typename Load>
__device__ __forceinline__ void multiply_normalizer(float (&products)[count], const elem *stage, Load load) {
    const unsigned long long matrix = panel_descriptor(stage, NORMALIZER_ROWS, true);
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
}

#endif
