// What shows that rows of queries and keys can be multiplied as they were given: neither a large number, nor a small sum of weights.
#pragma once
#include "common/exponents.cuh"
#include "hopper/panels.cuh"

// Whether what falls below the range does not count beside a sum of weights, none of them negative. NaN is none.
__device__ __forceinline__ bool is_ordinary(float total) {
    constexpr float least = DEGREE == 2 ? 0x1p-40f : 0x1p-80f;
    return total >= least && total < INFINITY;
}

// Whether one of the numbers is larger than ordinary ones.
__device__ __forceinline__ bool are_large(const unsigned (&numbers)[4]) {
    const unsigned left = larger_sizes_bfloat16(numbers[0], numbers[1]), right = larger_sizes_bfloat16(numbers[2], numbers[3]);
    const unsigned sizes = larger_sizes_bfloat16(left, right) & 0x7fff7fff;
    constexpr unsigned large = (127 + LARGEST_ORDINARY + 1) << 7;
    return (sizes & 0xffff) >= large || sizes >= large << 16;
}

// Makes `largest` the larger ones of it and of the numbers of a lane's share of `count` rows of a matrix, whatever their signs.
template <unsigned matrixRows, unsigned count>
__device__ __forceinline__ void measure_rows(unsigned (&largest)[4], const elem *matrix, unsigned firstRow, unsigned lane) {
    constexpr unsigned pieces = WIDTH / 8;
#pragma unroll
    for (unsigned first = 0; first < count * pieces; first += 32) {
        // Panels without gaps can be read in any order.
        constexpr bool isWhole = pieces % 8 == 0;
        const unsigned n = first + lane, row = firstRow + n / pieces, piece = n % pieces;
        const unsigned place = isWhole ? 64 * (first / (8 * count) * matrixRows + firstRow) + 8 * (first % (8 * count) + lane)
                                       : 64 * (piece / 8 * matrixRows + row) + (piece ^ row) % 8 * 8;
        const uint4 eight = *reinterpret_cast<const uint4 *>(matrix + place);
        largest[0] = larger_sizes_bfloat16(largest[0], eight.x), largest[1] = larger_sizes_bfloat16(largest[1], eight.y);
        largest[2] = larger_sizes_bfloat16(largest[2], eight.z), largest[3] = larger_sizes_bfloat16(largest[3], eight.w);
    }
}
