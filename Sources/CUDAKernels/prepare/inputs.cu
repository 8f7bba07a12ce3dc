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

// own[chunk, head] becomes the exponent of the largest key of the chunk; it starts at NO_EXPONENT. The order of the maxima does not show.
extern "C" __global__ void __launch_bounds__(THREADS) key_magnitudes(
    const input *__restrict__ k, const int4 *__restrict__ tiles, int *__restrict__ own, int keyHeads, int width
) {
    const int4 tile = tiles[blockIdx.x];
    const int head = blockIdx.y, perRow = (width + 3) / 4;
    float largest = 0;
    for (int n = threadIdx.x; n < tile.y * perRow; n += THREADS) {
        float x[4];
        load_four(x, k + (static_cast<size_t>(tile.x + n / perRow) * keyHeads + head) * width, n % perRow * 4, width);
        largest = largest_magnitude(largest, x);
    }
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
    if (threadIdx.x % 32 == 0 && largest != 0) atomicMax(own + static_cast<size_t>(tile.z) * keyHeads + head, magnitude_exponent(largest));
}

// The exponent of every chunk becomes the largest so far, that of the state before the first chunk included: a state never grows
// when it changes units. Grid: sequences, key heads; one warp.
extern "C" __global__ void __launch_bounds__(32) key_exponents(
    int *__restrict__ exponents, const int *__restrict__ initialExponents, const int *__restrict__ initialIsUsed,
    const int4 *__restrict__ sequences, int *__restrict__ finalExponents, int keyHeads
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
        carried = __shfl_sync(~0u, exponent, 31);
    }
    if (lane == 0 && finalExponents != nullptr) finalExponents[pair] = span.y > 0 ? exponent_or_zero(carried) : initial;
}

// Queries [tokens, queryHeads, WIDTH] by their own exponents, keys by those of their chunk, values as they are. Grid: tiles,
// queryHeads + 2 · keyHeads. Without exponents (exponential attention) nothing is scaled.
extern "C" __global__ void __launch_bounds__(THREADS) convert_inputs(
    const input *__restrict__ q, const input *__restrict__ k, const input *__restrict__ v, elem *__restrict__ queries,
    elem *__restrict__ keys, elem *__restrict__ values, int *__restrict__ queryExponents, const int *__restrict__ keyExponents,
    const int4 *__restrict__ tiles, int queryHeads, int keyHeads, int width, int valueWidth
) {
    const int4 tile = tiles[blockIdx.x];
    const int member = blockIdx.y;
    const bool isQuery = member < queryHeads, isValue = member >= queryHeads + keyHeads;
    const int heads = isQuery ? queryHeads : keyHeads;
    const int head = isQuery ? member : isValue ? member - queryHeads - keyHeads : member - queryHeads;
    const int given = isValue ? valueWidth : width, padded = isValue ? VALUE_WIDTH : WIDTH;
    const input *source = isQuery ? q : isValue ? v : k;
    elem *destination = isQuery ? queries : isValue ? values : keys;
    const int lane = threadIdx.x % LANES;
    const int keyExponent = !isQuery && !isValue && keyExponents != nullptr
        ? keyExponents[static_cast<size_t>(tile.z) * keyHeads + head] : 0;
    // All lanes of a warp go round together: the maximum of a row is taken over its lanes.
    const int rounds = (tile.y + THREADS / LANES - 1) / (THREADS / LANES);
    for (int round = 0; round < rounds; ++round) {
        const int n = round * (THREADS / LANES) + threadIdx.x / LANES;
        const bool isRow = n < tile.y;
        const size_t row = static_cast<size_t>(tile.x + (isRow ? n : 0)) * heads + head;
        int exponent = keyExponent;
        if (isQuery && queryExponents != nullptr) {
            float largest = 0;
            for (int column = lane * 4; column < padded; column += LANES * 4) {
                float x[4];
                load_four(x, source + row * given, column, given);
                largest = largest_magnitude(largest, x);
            }
#pragma unroll
            for (int offset = LANES / 2; offset > 0; offset /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
            exponent = exponent_or_zero(magnitude_exponent(largest));
            if (isRow && lane == 0) queryExponents[row] = exponent;
        }
        if (!isRow) continue;
        const float factor = power_of_two(-exponent);
        for (int column = lane * 4; column < padded; column += LANES * 4) {
            float x[4];
            load_four(x, source + row * given, column, given);
#pragma unroll
            for (int i = 0; i < 4; ++i) x[i] *= factor;
            store_four(destination + row * padded + column, x);
        }
    }
}

// What the backward pass reads of every row i:
//
//     u_i = ∂y_i / normalizer_i     o_i = −(∂y_i·y_i) / normalizer_i
//
// with 1 / normalizer_i from `statistics`; without normalization u_i = rowFactor · 2^(p(exponents of row and chunk)) · ∂y_i and o_i = 0; under
// exponential attention u_i = ∂y_i and o_i = −∂y_i·y_i. The statistic of a row that sees only its own token becomes negative.
// Grid: tiles, query heads.
extern "C" __global__ void __launch_bounds__(THREADS) convert_output_gradients(
    const input *__restrict__ dy, const float *__restrict__ y, float *__restrict__ statistics,
    const int *__restrict__ queryExponents, const int *__restrict__ keyExponents, const float2 *__restrict__ gates,
    const int4 *__restrict__ tiles, const int4 *__restrict__ chunks, elem *__restrict__ u, float *__restrict__ offsets, int tokens,
    int queryHeads, int keyHeads, int valueWidth, int startsEmpty, float rowFactor, int rowExponent
) {
    const int4 tile = tiles[blockIdx.x];
    const int head = blockIdx.y, lane = threadIdx.x % LANES, keyHead = head / (queryHeads / keyHeads);
    const int rounds = (tile.y + THREADS / LANES - 1) / (THREADS / LANES);
    for (int round = 0; round < rounds; ++round) {
        const int n = round * (THREADS / LANES) + threadIdx.x / LANES;
        const bool isRow = n < tile.y;
        const size_t row = static_cast<size_t>(tile.x + (isRow ? n : 0)) * queryHeads + head;
        float product = 0, factor = 1;
#if NORMALIZED
#if DEGREE > 0
        factor = fabsf(statistics[row]);
#endif
        // From u as it is rounded: u_i·v_j + o_i is zero where y_i is v_j.
        for (int column = lane * 4; column < VALUE_WIDTH; column += LANES * 4) {
            float gradient[4];
            load_four(gradient, dy + row * valueWidth, column, valueWidth);
#pragma unroll
            for (int i = 0; i < 4; ++i)
                if (column + i < valueWidth) product += y[row * valueWidth + column + i] * as_operand(gradient[i] * factor);
        }
#pragma unroll
        for (int offset = LANES / 2; offset > 0; offset /= 2) product += __shfl_xor_sync(~0u, product, offset);
#else
        factor = ldexpf(rowFactor, rowExponent + DEGREE * (queryExponents[row] + keyExponents[static_cast<size_t>(tile.z) * keyHeads + keyHead]));
#endif
        if (!isRow) continue;
        if (lane == 0) offsets[row] = -product;
#if NORMALIZED && DEGREE > 0
        if (lane == 0) {
            const int token = tile.x + n;
            bool isAlone = token == tile.w && startsEmpty && (chunks[tile.z].w & 1);
            if (gates != nullptr) {
                const float2 *gate = gates + static_cast<size_t>(keyHead) * tokens + token;
                isAlone = isAlone || (token == tile.w ? gate->x + gate->y : decay_exponent(gate[0], gate[-1])) <= CLOSED_EXPONENT;
            }
            if (isAlone) statistics[row] = -factor;
        }
#endif
        for (int column = lane * 4; column < VALUE_WIDTH; column += LANES * 4) {
            float gradient[4];
            load_four(gradient, dy + row * valueWidth, column, valueWidth);
#pragma unroll
            for (int i = 0; i < 4; ++i) gradient[i] *= factor;
            store_four(u + row * VALUE_WIDTH + column, gradient);
        }
    }
}
