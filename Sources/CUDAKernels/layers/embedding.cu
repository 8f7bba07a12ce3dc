// Rows of a table by tokens, and the gradient of the table.
//
// The gradient of a table's row is a sum over all places of its token. The places are sorted by token first, keeping their order, so that
// every sum is taken in one order; then tiles of TILE sorted places sum up what lies in them, and runs of one token that reach across
// tiles are joined.
//
// The sort takes the digits of tokens from the lowest up. For each, blocks count the digits of their stretches of places, then put the places
// where all counts say: equal digits in the order they have.
#include "layers/activations.cuh"

constexpr int TILE = 64;
// A digit of the sort; threads of its blocks, one a digit.
constexpr int BITS = 8, DIGITS = 1 << BITS, WARPS = DIGITS / 32;

// Grid: rows.
extern "C" __global__ void __launch_bounds__(256) embed(
    const int *__restrict__ tokens, const activation *__restrict__ table, activation *__restrict__ y, int width
) {
    const activation *source = table + static_cast<size_t>(tokens[blockIdx.x]) * width;
    activation *row = y + static_cast<size_t>(blockIdx.x) * width;
    for (int column = threadIdx.x * VECTOR; column < width; column += 256 * VECTOR) {
        float values[VECTOR];
        load(values, source + column);
        store(row + column, values);
    }
}

// Which lanes have this lane's digit, of those whose digit counts.
__device__ __forceinline__ unsigned lanes_with(int digit, bool counts) {
    unsigned lanes = __ballot_sync(~0u, counts);
#pragma unroll
    for (int bit = 0; bit < BITS; ++bit) {
        const bool isSet = digit >> bit & 1;
        const unsigned set = __ballot_sync(~0u, isSet);
        lanes &= isSet ? set : ~set;
    }
    return lanes;
}

// Calls body(place, digit, lanes with that digit) for the places that `source` names, or for these numbers themselves where it is null, in this
// warp's part of the block's `size` places. Lanes behind the end have no lanes. Several loads are under way at a time.
template <typename Body>
__device__ __forceinline__ void for_digits(const int *tokens, const int *source, int count, int size, int shift, Body body) {
    constexpr int BATCH = 4;
    const int lane = threadIdx.x % 32, first = blockIdx.x * size + static_cast<int>(threadIdx.x) / 32 * (size / WARPS);
    const int end = min(first + size / WARPS, count);
    for (int start = first; start < end; start += 32 * BATCH) {
        int places[BATCH], digits[BATCH];
#pragma unroll
        for (int i = 0; i < BATCH; ++i) {
            const int n = min(start + 32 * i + lane, end - 1);
            places[i] = source == nullptr ? n : source[n];
        }
#pragma unroll
        for (int i = 0; i < BATCH; ++i) digits[i] = tokens[places[i]] >> shift & (DIGITS - 1);
#pragma unroll
        for (int i = 0; i < BATCH; ++i) {
            const bool isWithin = start + 32 * i + lane < end;
            const unsigned lanes = lanes_with(digits[i], isWithin);
            body(places[i], digits[i], isWithin ? lanes : 0);
            __syncwarp();
        }
    }
}

// How many of its places have which digit, for every warp.
__device__ __forceinline__ void count_own(
    int (&counts)[WARPS][DIGITS], const int *tokens, const int *source, int count, int size, int shift
) {
    for (int warp = 0; warp < WARPS; ++warp) counts[warp][threadIdx.x] = 0;
    __syncthreads();
    for_digits(tokens, source, count, size, shift, [&](int, int digit, unsigned lanes) {
        // The lowest of them counts all.
        if (lanes != 0 && __ffs(lanes) - 1 == threadIdx.x % 32) counts[threadIdx.x / 32][digit] += __popc(lanes);
    });
    __syncthreads();
}

// counts[block, digit]. Grid: stretches of `size` places, a multiple of DIGITS.
extern "C" __global__ void __launch_bounds__(DIGITS) count_digits(
    const int *__restrict__ tokens, const int *__restrict__ source, int *__restrict__ counts, int count, int size, int shift
) {
    __shared__ int own[WARPS][DIGITS];
    count_own(own, tokens, source, count, size, shift);
    int sum = 0;
#pragma unroll
    for (int warp = 0; warp < WARPS; ++warp) sum += own[warp][threadIdx.x];
    counts[blockIdx.x * DIGITS + threadIdx.x] = sum;
}

// Writes the places of `source` to `target`, sorted by one digit. Grid as above.
extern "C" __global__ void __launch_bounds__(DIGITS) sort_by_digit(
    const int *__restrict__ tokens, const int *__restrict__ source, const int *__restrict__ counts, int *__restrict__ target, int count,
    int size, int shift
) {
    __shared__ int own[WARPS][DIGITS], warpSums[WARPS];
    count_own(own, tokens, source, count, size, shift);
    // A thread has a digit: how often it comes in blocks before this one, and in all.
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    int place = 0, total = 0;
#pragma unroll 8
    for (int block = 0; block < gridDim.x; ++block) {
        const int those = counts[block * DIGITS + thread];
        place += block < blockIdx.x ? those : 0;
        total += those;
    }
    // And lower digits in all blocks.
    int inclusive = total;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
        const int before = __shfl_up_sync(~0u, inclusive, offset);
        if (lane >= offset) inclusive += before;
    }
    if (lane == 31) warpSums[warp] = inclusive;
    __syncthreads();
    place += inclusive - total;
    for (int n = 0; n < warp; ++n) place += warpSums[n];
    for (int n = 0; n < WARPS; ++n) {
        const int those = own[n][thread];
        own[n][thread] = place;
        place += those;
    }
    __syncthreads();
    for_digits(tokens, source, count, size, shift, [&](int from, int digit, unsigned lanes) {
        const int first = lanes == 0 ? 0 : own[warp][digit], before = __popc(lanes & (1u << lane) - 1);
        __syncwarp();
        if (lanes == 0) return;
        target[first + before] = from;
        if (before == 0) own[warp][digit] = first + __popc(lanes);
    });
}

// Sums of the runs of one token in a tile of sorted places. A run that ends within the tile where it began is added to the table. The part
// of one that began before goes to partials[tile, 0], that of one that goes on behind to partials[tile, 1]. Rows count `factors` times where
// these are given. Grid: tiles, width / (128 · VECTOR).
extern "C" __global__ void __launch_bounds__(128) embed_backward(
    const int *__restrict__ tokens, const int *__restrict__ order, const activation *__restrict__ gradient,
    const float *__restrict__ factors, float *__restrict__ table, float *__restrict__ partials, int count, int width
) {
    constexpr int BATCH = 8;
    static_assert(TILE % BATCH == 0 && TILE + 2 <= 128, "whole batches; a thread looks up a token");
    // The tokens from the place before the tile to the one behind it, −1 where there is none.
    __shared__ int places[TILE], found[TILE + 2];
    const int first = blockIdx.x * TILE, end = min(first + TILE, count), thread = threadIdx.x;
    if (thread < TILE + 2) {
        const int n = first - 1 + thread, place = 0 <= n && n < count ? order[n] : -1;
        found[thread] = place < 0 ? -1 : tokens[place];
        if (1 <= thread && thread <= TILE) places[thread - 1] = max(place, 0);
    }
    __syncthreads();
    const int column = (blockIdx.y * 128 + thread) * VECTOR;
    if (column >= width) return;
    float sums[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) sums[i] = 0;
    bool hasBegun = found[0] == found[1];
    for (int start = 0; start < end - first; start += BATCH) {
        packed rows[BATCH];
#pragma unroll
        for (int i = 0; i < BATCH; ++i)
            if (start + i < end - first) rows[i] = load_packed(gradient + static_cast<size_t>(places[start + i]) * width + column);
#pragma unroll
        for (int i = 0; i < BATCH; ++i) {
            const int n = start + i, token = found[n + 1], next = found[n + 2];
            if (n >= end - first) break;
            float values[VECTOR];
            unpack(values, rows[i]);
            const float factor = factors == nullptr ? 1 : factors[places[n]];
#pragma unroll
            for (int j = 0; j < VECTOR; ++j) sums[j] += factor * values[j];
            if (next == token && n + 1 < end - first) continue;
            float *place = partials + (static_cast<size_t>(blockIdx.x) * 2 + (hasBegun ? 0 : 1)) * width + column;
            if (!hasBegun && next != token) {
                place = table + static_cast<size_t>(token) * width + column;
                float before[VECTOR];
                load_floats(before, place);
#pragma unroll
                for (int j = 0; j < VECTOR; ++j) sums[j] += before[j];
            }
            store_floats(place, sums);
#pragma unroll
            for (int j = 0; j < VECTOR; ++j) sums[j] = 0;
            hasBegun = false;
        }
    }
}

// The runs that go on behind the tile where they began: the parts of all their tiles, in order. Grid as above.
extern "C" __global__ void __launch_bounds__(128) join_embed_backward(
    const int *__restrict__ tokens, const int *__restrict__ order, float *__restrict__ table, const float *__restrict__ partials,
    int count, int width
) {
    const int first = blockIdx.x * TILE, end = first + TILE;
    if (end >= count) return;
    const int token = tokens[order[end - 1]];
    if (tokens[order[end]] != token || (first > 0 && tokens[order[first - 1]] == token)) return;
    // The tiles that begin with the token are neighbours: threads look at one each.
    __shared__ int behind;
    if (threadIdx.x == 0) behind = (count + TILE - 1) / TILE;
    __syncthreads();
    for (int tile = blockIdx.x + 1 + threadIdx.x; tile * TILE < count; tile += 128)
        if (tokens[order[tile * TILE]] != token) {
            atomicMin(&behind, tile);
            break;
        }
    __syncthreads();
    const int column = (blockIdx.y * 128 + threadIdx.x) * VECTOR, last = behind;
    if (column >= width) return;
    float sums[VECTOR], parts[VECTOR];
    load_floats(sums, partials + (static_cast<size_t>(blockIdx.x) * 2 + 1) * width + column);
#pragma unroll 4
    for (int tile = blockIdx.x + 1; tile < last; ++tile) {
        load_floats(parts, partials + static_cast<size_t>(tile) * 2 * width + column);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) sums[i] += parts[i];
    }
    float *place = table + static_cast<size_t>(token) * width + column;
    load_floats(parts, place);
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) sums[i] += parts[i];
    store_floats(place, sums);
}
