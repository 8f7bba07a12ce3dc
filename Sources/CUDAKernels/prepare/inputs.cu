// The inputs as the other kernels read them: rows of whole fragments in scratch precision, queries and keys divided by powers of two.
//
// Grid of all: tiles of tokens of one chunk, heads. LANES threads read a row, 4 neighbouring numbers each.
#include "common/decay.cuh"
#include "common/elements.cuh"
#include "common/exponents.cuh"
#include "prepare/gates.cuh"

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

// Threads of a block that measures, the numbers of 16 bytes, the lanes that read a row so many at a time, and the rows that a thread asks
// for before it looks at the first: memory answers late, and is busy only while enough is asked for.
constexpr int MEASURING_THREADS = GATE_THREADS;
constexpr int PIECE = 16 / sizeof(input);
constexpr int ROW_LANES = WIDTH > 16 * PIECE ? 32 : WIDTH > 8 * PIECE ? 16 : WIDTH > 4 * PIECE ? 8 : WIDTH > 2 * PIECE ? 4 : 2;
constexpr int ROWS_AT_ONCE = MEASURING_THREADS / ROW_LANES;
constexpr int ROWS_ASKED = 4;
// Blocks of a multiprocessor: rows in float32, and wide ones, take registers of a fourth.
constexpr int MEASURING_BLOCKS = INPUT == 0 || WIDTH > 128 ? 3 : 4;

// The larger magnitudes of the numbers in two words, one or two in each; those of NaN count as none.
__device__ __forceinline__ unsigned larger_magnitudes(unsigned largest, unsigned word) {
#if INPUT == 0
    return __float_as_uint(fmaxf(__uint_as_float(largest), fabsf(__uint_as_float(word))));
#elif INPUT == 1
    return larger_float16(largest, word & 0x7fff7fff);
#else
    return larger_bfloat16(largest, word & 0x7fff7fff);
#endif
}

__device__ __forceinline__ unsigned larger_magnitudes(unsigned largest, uint4 piece) {
    largest = larger_magnitudes(larger_magnitudes(largest, piece.x), piece.y);
    return larger_magnitudes(larger_magnitudes(largest, piece.z), piece.w);
}

// The larger ones of words of magnitudes of `lanes` neighbouring lanes.
template <int lanes>
__device__ __forceinline__ unsigned larger_of_lanes(unsigned largest) {
#pragma unroll
    for (int offset = lanes / 2; offset > 0; offset /= 2) {
        const unsigned other = __shfl_xor_sync(~0u, largest, offset);
#if INPUT == 0
        // Magnitudes in float32 are in the order of their bits.
        largest = max(largest, other);
#elif INPUT == 1
        largest = larger_float16(largest, other);
#else
        largest = larger_bfloat16(largest, other);
#endif
    }
    return largest;
}

// The exponent of the largest number of a word of magnitudes.
__device__ __forceinline__ int word_exponent(unsigned magnitudes) {
#if INPUT == 0
    return magnitude_exponent(__uint_as_float(magnitudes));
#else
    return magnitude_exponent(fmaxf(from_input(magnitudes & 0xffff), from_input(magnitudes >> 16)));
#endif
}

// The magnitudes of this lane's share of a row: words of them, of which the largest numbers are the row's.
__device__ __forceinline__ unsigned row_magnitudes(const input *row, int lane, int width) {
    unsigned largest = 0;
#pragma unroll 1
    for (int column = lane; column < width; column += ROW_LANES) {
#if INPUT == 0
        largest = larger_magnitudes(largest, __float_as_uint(row[column]));
#else
        largest = larger_magnitudes(largest, row[column]);
#endif
    }
    return largest;
}

// The exponents of rows, by their largest numbers: powers of two that they are divided by.
struct Exponents {
    // Of queries, [tokens, queryHeads], and of the keys of chunks, [chunks, keyHeads]: from zero, and distances from NO_EXPONENT until all keys
    // of a sequence are known.
    int *queries, *chunks;
    // How many keys are known, [sequences, keyHeads], from zero.
    unsigned *known;
    // Of the states before the sequences and after, [sequences, keyHeads].
    const int *initial, *initialIsUsed;
    int *last;
    // 1 where any query, and any key, has one that is not zero; from zero.
    int *isScaled;
    int keyHeads;

    // The exponent of every chunk becomes the largest so far, that of the state before the first chunk included: a state never grows when it
    // changes units. One warp.
    __device__ __forceinline__ void accumulate(int4 span, int sequence, int head) const {
        const int lane = threadIdx.x % 32;
        const size_t pair = static_cast<size_t>(sequence) * keyHeads + head;
        int carried = initial != nullptr && initialIsUsed[pair] != 0 ? initial[pair] : NO_EXPONENT;
#pragma unroll 1
        for (int first = 0; first < span.y; first += 32) {
            const int n = first + lane;
            int *place = chunks + static_cast<size_t>(span.x + n) * keyHeads + head;
            int exponent = max(n < span.y ? NO_EXPONENT + *place : NO_EXPONENT, carried);
#pragma unroll
            for (int offset = 1; offset < 32; offset *= 2) {
                const int before = __shfl_up_sync(~0u, exponent, offset);
                if (lane >= offset) exponent = max(exponent, before);
            }
            if (n < span.y) *place = exponent_or_zero(exponent);
            if (n < span.y && exponent_or_zero(exponent) != 0) isScaled[1] = 1;
            carried = __shfl_sync(~0u, exponent, 31);
        }
        if (lane == 0) last[pair] = exponent_or_zero(carried);
    }
};

// The exponents of the rows of one tile of one head. The order of the maxima does not show.
template <bool isQuery>
__device__ __forceinline__ void measure(
    const Exponents &exponents, const input *source, int4 tile, int head, int heads, int width, const int4 *sequences
) {
    const int lane = threadIdx.x % ROW_LANES, ownRow = threadIdx.x / ROW_LANES;
    const size_t firstRow = static_cast<size_t>(tile.x) * heads + head, step = static_cast<size_t>(ROWS_AT_ONCE) * heads * width;
    const input *row = source + (firstRow + static_cast<size_t>(ownRow) * heads) * width;
    unsigned largest = 0;
    // All lanes of a warp go round together: the maximum of a row is taken over its lanes.
#pragma unroll 1
    for (int first = 0; first < tile.y; first += ROWS_ASKED * ROWS_AT_ONCE) {
        unsigned magnitudes[ROWS_ASKED] = {};
        const input *rows[ROWS_ASKED];
#pragma unroll
        for (int n = 0; n < ROWS_ASKED; ++n) rows[n] = row, row += step;
        const int left = tile.y - first - ownRow;
        if (width % PIECE == 0) {
#pragma unroll 1
            for (int column = lane * PIECE; column < WIDTH; column += ROW_LANES * PIECE) {
                uint4 pieces[ROWS_ASKED];
#pragma unroll
                for (int n = 0; n < ROWS_ASKED; ++n) {
                    pieces[n] = make_uint4(0, 0, 0, 0);
                    if (n * ROWS_AT_ONCE < left && column < width) pieces[n] = *reinterpret_cast<const uint4 *>(rows[n] + column);
                }
#pragma unroll
                for (int n = 0; n < ROWS_ASKED; ++n) magnitudes[n] = larger_magnitudes(magnitudes[n], pieces[n]);
            }
        } else {
#pragma unroll
            for (int n = 0; n < ROWS_ASKED; ++n)
                if (n * ROWS_AT_ONCE < left) magnitudes[n] = row_magnitudes(rows[n], lane, width);
        }
        if constexpr (isQuery) {
#pragma unroll
            for (int n = 0; n < ROWS_ASKED; ++n) magnitudes[n] = larger_of_lanes<ROW_LANES>(magnitudes[n]);
            // Every lane has all of them, and sees to one.
#pragma unroll
            for (int from = 0; from < ROWS_ASKED; from += ROW_LANES) {
                const int own = from + lane;
                if (own >= ROWS_ASKED || own * ROWS_AT_ONCE >= left) continue;
                unsigned magnitude = magnitudes[from];
#pragma unroll
                for (int n = from + 1; n < ROWS_ASKED; ++n) magnitude = n == own ? magnitudes[n] : magnitude;
                const int exponent = exponent_or_zero(word_exponent(magnitude));
                exponents.queries[firstRow + static_cast<size_t>(first + own * ROWS_AT_ONCE + ownRow) * heads] = exponent;
                if (exponent != 0) exponents.isScaled[0] = 1;
            }
        } else {
#pragma unroll
            for (int n = 0; n < ROWS_ASKED; ++n) largest = larger_magnitudes(largest, magnitudes[n]);
        }
    }
    if (isQuery) return;
    __shared__ unsigned warpLargest[MEASURING_THREADS / 32];
    largest = larger_of_lanes<32>(largest);
    if (threadIdx.x % 32 == 0) warpLargest[threadIdx.x / 32] = largest;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    largest = larger_of_lanes<32>(threadIdx.x < MEASURING_THREADS / 32 ? warpLargest[threadIdx.x] : 0);
    const int sequence = tile.w;
    const int4 span = sequences[sequence];
    int known = 0;
    if (threadIdx.x == 0) {
        atomicMax(exponents.chunks + static_cast<size_t>(tile.z) * heads + head, word_exponent(largest) - NO_EXPONENT);
        known = tile.y + count_arrival(exponents.known + static_cast<size_t>(sequence) * heads + head, tile.y);
    }
    known = __shfl_sync(~0u, known, 0);
    __syncwarp();
    // Whoever comes last knows all keys of the sequence.
    if (known == span.w) exponents.accumulate(span, sequence, head);
}

// All that has to be known of inputs before they are multiplied: sums of gates, exponents of rows. Every `gatePeriod`-th block sums the gates
// of a chunk of a key head, up to `gateBlocks`: it waits most of the time, while the others, whose rows keep the memory busy, read on. These are
// tiles (first token, number of tokens, chunk, sequence) by keyHeads and then by queryHeads, heads of a tile together, because neighbours in
// memory are best read at the same time.
//
// It may start early. Where it measures nothing, or only if `isNeeded` is set, so may the next kernel, which waits for the end of this one.
//
// Grid: gateBlocks + tileCount · (keyHeads + queryHeads).
extern "C" __global__ void __launch_bounds__(MEASURING_THREADS, MEASURING_BLOCKS) measure_inputs(
    const input *__restrict__ q, const input *__restrict__ k, const float *__restrict__ logGates, const int4 *__restrict__ tiles,
    const int4 *__restrict__ chunks, const int4 *__restrict__ sequences, int *__restrict__ queryExponents, int *chunkExponents,
    unsigned *known, const int *__restrict__ initialExponents, const int *__restrict__ initialIsUsed, int *__restrict__ lastExponents,
    int *__restrict__ isScaled, float2 *gates, float *__restrict__ decays, int *__restrict__ firstVisible, int gateBlocks, int gatePeriod,
    int tileCount, int tokens, int queryHeads, int keyHeads, int width, int window, const int *isNeeded
) {
    if (tileCount == 0 || isNeeded != nullptr) start_next_kernel();
    wait_for_previous_kernel();
    if (isNeeded != nullptr && *isNeeded == 0) return;
    unsigned index = blockIdx.x;
    const unsigned turn = index / gatePeriod;
    if (turn < gateBlocks && turn * gatePeriod == index) {
        const CumulativeGates sums = {logGates, gates, decays, firstVisible, tokens, keyHeads, window};
        sums.sum(chunks[turn / keyHeads], turn % keyHeads);
        return;
    }
    index -= min(turn + 1, static_cast<unsigned>(gateBlocks));
    const Exponents exponents = {queryExponents, chunkExponents, known, initialExponents, initialIsUsed, lastExponents, isScaled, keyHeads};
    const unsigned keyBlocks = static_cast<unsigned>(tileCount) * keyHeads;
    if (index < keyBlocks) {
        measure<false>(exponents, k, tiles[index / keyHeads], index % keyHeads, keyHeads, width, sequences);
    } else {
        index -= keyBlocks;
        measure<true>(exponents, q, tiles[index / queryHeads], index % queryHeads, queryHeads, width, sequences);
    }
}

// Queries [tokens, queryHeads, WIDTH] by their own exponents, keys by those of their chunk, values as they are. Grid: any number,
// queryHeads + keyHeads, and keyHeads more where values are wanted. Queries and keys whose flag is not set are left out; without flags
// all are converted. Without exponents (exponential attention) nothing is scaled. It may start early, and so may the next kernel.
extern "C" __global__ void __launch_bounds__(THREADS) convert_inputs(
    const input *__restrict__ q, const input *__restrict__ k, const input *__restrict__ v, elem *__restrict__ queries,
    elem *__restrict__ keys, elem *__restrict__ values, const int *queryExponents, const int *keyExponents,
    const int *isScaled, const int4 *__restrict__ tiles, int tileCount, int queryHeads, int keyHeads, int width, int valueWidth
) {
    start_next_kernel();
    wait_for_previous_kernel();
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
