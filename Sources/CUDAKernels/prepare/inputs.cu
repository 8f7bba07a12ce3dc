// The inputs as the other kernels read them: rows of whole fragments in scratch precision, queries and keys divided by powers of two.
//
// Grid of all: tiles of tokens of one chunk, heads. LANES threads read a row, 4 neighbouring numbers each.
#include "common/decay.cuh"
#include "common/elements.cuh"
#include "common/exponents.cuh"

constexpr int THREADS = 256;

// Four numbers of a row of `width`; zeros past its end.
__device__ __forceinline__ void load_four(float (&x)[4], const input *row, int column, int width) {
    if (width % 4 == 0) {
        if (column >= width) {
            x[0] = x[1] = x[2] = x[3] = 0;
            return;
        }
#if INPUT == 0
        const float4 four = *reinterpret_cast<const float4 *>(row + column);
        x[0] = four.x, x[1] = four.y, x[2] = four.z, x[3] = four.w;
#else
        const uint2 four = *reinterpret_cast<const uint2 *>(row + column);
        x[0] = from_input(four.x & 0xffff), x[1] = from_input(four.x >> 16);
        x[2] = from_input(four.y & 0xffff), x[3] = from_input(four.y >> 16);
#endif
    } else {
#pragma unroll
        for (int n = 0; n < 4; ++n) x[n] = column + n < width ? from_input(row[column + n]) : 0;
    }
}

__device__ __forceinline__ void store_four(elem *place, const float (&x)[4]) {
#if MATH == 0
    *reinterpret_cast<uint2 *>(place) = make_uint2(pack_bfloat16(x[0], x[1]), pack_bfloat16(x[2], x[3]));
#else
    *reinterpret_cast<float4 *>(place) = make_float4(x[0], x[1], x[2], x[3]);
#endif
}

__device__ __forceinline__ float largest_magnitude(float largest, const float (&x)[4]) {
#pragma unroll
    for (int n = 0; n < 4; ++n) largest = fmaxf(largest, fabsf(x[n]));
    return largest;
}

// The largest magnitude that this lane reads of a row, of `lanes` lanes a row.
__device__ __forceinline__ float row_magnitude(const input *row, int lane, int lanes, int width) {
    float largest = 0;
#if INPUT == 2
    if (width % 8 == 0) {
        for (int column = lane * 8; column < width; column += lanes * 8) {
            const uint4 eight = *reinterpret_cast<const uint4 *>(row + column);
            const unsigned words[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
            for (int n = 0; n < 4; ++n)
                largest = fmaxf(largest, fmaxf(fabsf(from_input(words[n] & 0xffff)), fabsf(from_input(words[n] >> 16))));
        }
        return largest;
    }
#endif
    for (int column = lane * 4; column < width; column += lanes * 4) {
        float x[4];
        load_four(x, row, column, width);
        largest = largest_magnitude(largest, x);
    }
    return largest;
}

// The exponents of queries [tokens, queryHeads]; chunkExponents[chunk, head] becomes that of the largest key of the chunk, from
// NO_EXPONENT. isScaled[0] becomes 1 where a query has one. The order of the maxima does not show. Grid: tiles, queryHeads + keyHeads.
//
// Six blocks a multiprocessor leave 40 registers; for eight, which the compiler aims at by itself, it spilled.
extern "C" __global__ void __launch_bounds__(THREADS, 6) magnitudes(
    const input *__restrict__ q, const input *__restrict__ k, const int4 *__restrict__ tiles, int *__restrict__ queryExponents,
    int *__restrict__ chunkExponents, int *__restrict__ isScaled, int queryHeads, int keyHeads, int width
) {
    const int4 tile = tiles[blockIdx.x];
    const bool isQuery = blockIdx.y < queryHeads;
    const int head = isQuery ? blockIdx.y : blockIdx.y - queryHeads, heads = isQuery ? queryHeads : keyHeads;
    const input *source = isQuery ? q : k;
    // A lane reads 16 bytes of bfloat16 at once.
    const int lanes = INPUT == 2 && width % 8 == 0 ? LANES / 2 : LANES, rows = THREADS / lanes, lane = threadIdx.x % lanes;
    float largest = 0;
    // All lanes of a warp go round together: the maximum of a row is taken over its lanes.
    const int rounds = (tile.y + rows - 1) / rows;
    for (int round = 0; round < rounds; ++round) {
        const int n = round * rows + threadIdx.x / lanes;
        const size_t row = static_cast<size_t>(tile.x + min(n, tile.y - 1)) * heads + head;
        float magnitude = row_magnitude(source + row * width, lane, lanes, width);
        if (isQuery) {
            for (int offset = lanes / 2; offset > 0; offset /= 2) magnitude = fmaxf(magnitude, __shfl_xor_sync(~0u, magnitude, offset));
            const int exponent = exponent_or_zero(magnitude_exponent(magnitude));
            if (n < tile.y && lane == 0) queryExponents[row] = exponent;
            if (exponent != 0 && lane == 0) isScaled[0] = 1;
        } else {
            largest = fmaxf(largest, magnitude);
        }
    }
    if (isQuery) return;
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
    if (threadIdx.x % 32 == 0 && largest != 0)
        atomicMax(chunkExponents + static_cast<size_t>(tile.z) * keyHeads + head, magnitude_exponent(largest));
}

// The exponent of every chunk becomes the largest so far, that of the state before the first chunk included: a state never grows
// when it changes units. isScaled[1] becomes 1 where it is not zero. Grid: sequences, key heads; one warp.
extern "C" __global__ void __launch_bounds__(32) key_exponents(
    int *__restrict__ exponents, const int *__restrict__ initialExponents, const int *__restrict__ initialIsUsed,
    const int4 *__restrict__ sequences, int *__restrict__ finalExponents, int *__restrict__ isScaled, int keyHeads
) {
    const int4 span = sequences[blockIdx.x];
    const int head = blockIdx.y, lane = threadIdx.x;
    const size_t pair = static_cast<size_t>(blockIdx.x) * keyHeads + head;
    const int initial = initialExponents != nullptr ? initialExponents[pair] : 0;
    int carried = initialExponents != nullptr && initialIsUsed[pair] != 0 ? initial : NO_EXPONENT;
    for (int first = 0; first < span.y; first += 32) {
        const int n = first + lane;
        int *place = exponents + static_cast<size_t>(span.x + n) * keyHeads + head;
        int exponent = max(n < span.y ? *place : NO_EXPONENT, carried);
#pragma unroll
        for (int offset = 1; offset < 32; offset *= 2) {
            const int before = __shfl_up_sync(~0u, exponent, offset);
            if (lane >= offset) exponent = max(exponent, before);
        }
        if (n < span.y) *place = exponent_or_zero(exponent);
        if (n < span.y && exponent_or_zero(exponent) != 0) isScaled[1] = 1;
        carried = __shfl_sync(~0u, exponent, 31);
    }
    if (lane == 0 && finalExponents != nullptr) finalExponents[pair] = span.y > 0 ? exponent_or_zero(carried) : initial;
}

// Queries [tokens, queryHeads, WIDTH] by their own exponents, keys by those of their chunk, values as they are. Grid: any number,
// queryHeads + keyHeads, and keyHeads more where values are wanted. Queries and keys whose flag is not set are left out; without flags
// all are converted. Without exponents (exponential attention) nothing is scaled.
extern "C" __global__ void __launch_bounds__(THREADS) convert_inputs(
    const input *__restrict__ q, const input *__restrict__ k, const input *__restrict__ v, elem *__restrict__ queries,
    elem *__restrict__ keys, elem *__restrict__ values, const int *__restrict__ queryExponents, const int *__restrict__ keyExponents,
    const int *__restrict__ isScaled, const int4 *__restrict__ tiles, int tileCount, int queryHeads, int keyHeads, int width, int valueWidth
) {
    const int member = blockIdx.y;
    const bool isQuery = member < queryHeads, isValue = member >= queryHeads + keyHeads;
    if (!isValue && isScaled != nullptr && isScaled[isQuery ? 0 : 1] <= 0) return;
    const int heads = isQuery ? queryHeads : keyHeads;
    const int head = isQuery ? member : isValue ? member - queryHeads - keyHeads : member - queryHeads;
    const int given = isValue ? valueWidth : width, padded = isValue ? VALUE_WIDTH : WIDTH;
    const input *source = isQuery ? q : isValue ? v : k;
    elem *destination = isQuery ? queries : isValue ? values : keys;
    const int lane = threadIdx.x % LANES;
    for (int index = blockIdx.x; index < tileCount; index += gridDim.x) {
        const int4 tile = tiles[index];
        const int keyExponent = !isQuery && !isValue && keyExponents != nullptr
            ? keyExponents[static_cast<size_t>(tile.z) * keyHeads + head] : 0;
        for (int n = threadIdx.x / LANES; n < tile.y; n += THREADS / LANES) {
            const size_t row = static_cast<size_t>(tile.x + n) * heads + head;
            const float factor = power_of_two(-(isQuery && queryExponents != nullptr ? queryExponents[row] : keyExponent));
            for (int column = lane * 4; column < padded; column += LANES * 4) {
                float x[4];
                load_four(x, source + row * given, column, given);
#pragma unroll
                for (int i = 0; i < 4; ++i) x[i] *= factor;
                store_four(destination + row * padded + column, x);
            }
        }
    }
}

// What the backward pass reads of every row i besides ∂y_i:
//
//     o_i = −∂y_i·y_i
//
// or 0 without normalization (the queries' kernel does the same where it can, see OFFSETS there); and `rows`, ∂y in scratch precision, where it is wanted. The statistic of a normalized row that sees only its
// own token becomes negative. Grid: tiles, query heads.
extern "C" __global__ void __launch_bounds__(THREADS) output_gradients(
    const input *__restrict__ dy, const float *__restrict__ y, float *__restrict__ statistics, const float2 *__restrict__ gates,
    const int4 *__restrict__ tiles, const int4 *__restrict__ chunks, elem *__restrict__ rows, float *__restrict__ offsets, int tokens,
    int queryHeads, int keyHeads, int valueWidth, int startsEmpty
) {
    const int4 tile = tiles[blockIdx.x];
    const int head = blockIdx.y, lane = threadIdx.x % LANES, keyHead = head / (queryHeads / keyHeads);
    // All lanes of a warp go round together: the sum of a row is taken over its lanes.
    const int rounds = (tile.y + THREADS / LANES - 1) / (THREADS / LANES);
    for (int round = 0; round < rounds; ++round) {
        const int n = round * (THREADS / LANES) + threadIdx.x / LANES;
        const bool isRow = n < tile.y;
        const size_t row = static_cast<size_t>(tile.x + (isRow ? n : 0)) * queryHeads + head;
        float product = 0;
        for (int column = lane * 4; column < VALUE_WIDTH; column += LANES * 4) {
            float gradient[4];
            load_four(gradient, dy + row * valueWidth, column, valueWidth);
            if (rows != nullptr && isRow) store_four(rows + row * VALUE_WIDTH + column, gradient);
#if NORMALIZED
            if (valueWidth % 4 == 0 && column < valueWidth) {
                const float4 outputs = *reinterpret_cast<const float4 *>(y + row * valueWidth + column);
                product += outputs.x * gradient[0] + outputs.y * gradient[1] + outputs.z * gradient[2] + outputs.w * gradient[3];
            } else {
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    if (column + i < valueWidth) product += y[row * valueWidth + column + i] * gradient[i];
            }
#endif
        }
#if NORMALIZED
#pragma unroll
        for (int offset = LANES / 2; offset > 0; offset /= 2) product += __shfl_xor_sync(~0u, product, offset);
#endif
        if (!isRow || lane != 0) continue;
        offsets[row] = -product;
#if NORMALIZED && DEGREE > 0
        const bool isFirst = startsEmpty && (chunks[tile.z].w & 1);
        if (is_alone(tile.x + n, tile.w, isFirst, gates == nullptr ? nullptr : gates + static_cast<size_t>(keyHead) * tokens))
            statistics[row] = -fabsf(statistics[row]);
#endif
    }
}
