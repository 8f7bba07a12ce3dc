// Rows of a table by tokens, and the gradient of the table.
//
// The gradient of a table's row is a sum over all places of its token. The places are sorted by token first, keeping their order, so that
// every sum is taken in one order; then tiles of TILE sorted places sum up what lies in them, and runs of one token that reach across
// tiles are joined.
#include "layers/activations.cuh"

constexpr int THREADS = 1024, TILE = 64;
// A digit of the sort.
constexpr int BITS = 4, DIGITS = 1 << BITS;

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

// Calls body(place, digit) for the places that source[first ..< end] names, or for these numbers themselves where it is null. Several loads
// are under way at a time.
template <typename Body>
__device__ __forceinline__ void for_digits(const int *tokens, const int *source, int first, int end, int shift, Body body) {
    constexpr int BATCH = 8;
    for (int start = first; start < end; start += BATCH) {
        int places[BATCH], digits[BATCH];
#pragma unroll
        for (int i = 0; i < BATCH; ++i) {
            const int n = min(start + i, end - 1);
            places[i] = source == nullptr ? n : source[n];
        }
#pragma unroll
        for (int i = 0; i < BATCH; ++i) digits[i] = tokens[places[i]] >> shift & (DIGITS - 1);
#pragma unroll
        for (int i = 0; i < BATCH; ++i)
            if (start + i < end) body(places[i], digits[i]);
    }
}

// order[n] is the place of the n-th token in ascending order, equal ones in the order of their places: digits from the lowest up, each
// pass by counting, every thread a stretch of neighbours. `spare` has `count` numbers as well. One block.
extern "C" __global__ void __launch_bounds__(THREADS, 1) sort_tokens(
    const int *__restrict__ tokens, int *__restrict__ order, int *__restrict__ spare, int count, int passes
) {
    extern __shared__ int counts[];  // [DIGITS][THREADS], then THREADS / 32 sums of warps
    int *warpSums = counts + DIGITS * THREADS;
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int size = (count + THREADS - 1) / THREADS, first = min(thread * size, count), end = min(first + size, count);
    for (int pass = 0; pass < passes; ++pass) {
        // The last pass writes to `order`.
        const bool toOrder = (passes - pass) % 2 == 1;
        int *target = toOrder ? order : spare;
        const int *source = pass == 0 ? nullptr : toOrder ? spare : order;
        const int shift = pass * BITS;
        for (int digit = 0; digit < DIGITS; ++digit) counts[digit * THREADS + thread] = 0;
        for_digits(tokens, source, first, end, shift, [&](int, int digit) { ++counts[digit * THREADS + thread]; });
        __syncthreads();
        // Exclusive sums over digits, then threads: thread t takes the DIGITS counts from t · DIGITS on.
        int sum = 0;
        for (int n = 0; n < DIGITS; ++n) sum += counts[thread * DIGITS + n];
        int inclusive = sum;
#pragma unroll
        for (int offset = 1; offset < 32; offset *= 2) {
            const int before = __shfl_up_sync(~0u, inclusive, offset);
            if (lane >= offset) inclusive += before;
        }
        if (lane == 31) warpSums[warp] = inclusive;
        __syncthreads();
        int before = inclusive - sum;
        for (int n = 0; n < warp; ++n) before += warpSums[n];
        for (int n = 0; n < DIGITS; ++n) {
            const int own = counts[thread * DIGITS + n];
            counts[thread * DIGITS + n] = before;
            before += own;
        }
        __syncthreads();
        for_digits(
            tokens, source, first, end, shift, [&](int place, int digit) { target[counts[digit * THREADS + thread]++] = place; });
        __syncthreads();
    }
}

// Sums of the runs of one token in a tile of sorted places. A run that ends within the tile where it began is added to the table. The part
// of one that began before goes to partials[tile, 0], that of one that goes on behind to partials[tile, 1]. Grid: tiles, width /
// (128 · VECTOR).
extern "C" __global__ void __launch_bounds__(128) embed_backward(
    const int *__restrict__ tokens, const int *__restrict__ order, const activation *__restrict__ gradient, float *__restrict__ table,
    float *__restrict__ partials, int count, int width
) {
    const int column = (blockIdx.y * 128 + threadIdx.x) * VECTOR;
    if (column >= width) return;
    const int first = blockIdx.x * TILE, end = min(first + TILE, count);
    float sums[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) sums[i] = 0;
    int token = tokens[order[first]];
    bool hasBegun = first > 0 && tokens[order[first - 1]] == token;
    for (int n = first; n < end; ++n) {
        float values[VECTOR];
        load(values, gradient + static_cast<size_t>(order[n]) * width + column);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) sums[i] += values[i];
        const int next = n + 1 < count ? tokens[order[n + 1]] : -1;
        if (next == token && n + 1 < end) continue;
        float *place = partials + (static_cast<size_t>(blockIdx.x) * 2 + (hasBegun ? 0 : 1)) * width + column;
        if (!hasBegun && next != token) {
            place = table + static_cast<size_t>(token) * width + column;
            float before[VECTOR];
            load_floats(before, place);
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) sums[i] += before[i];
        }
        store_floats(place, sums);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) sums[i] = 0;
        token = next;
        hasBegun = false;
    }
}

// The runs that go on behind the tile where they began: the parts of all their tiles, in order. Grid as above.
extern "C" __global__ void __launch_bounds__(128) join_embed_backward(
    const int *__restrict__ tokens, const int *__restrict__ order, float *__restrict__ table, const float *__restrict__ partials,
    int count, int width
) {
    const int column = (blockIdx.y * 128 + threadIdx.x) * VECTOR;
    const int first = blockIdx.x * TILE, end = first + TILE;
    if (column >= width || end >= count) return;
    const int token = tokens[order[end - 1]];
    if (tokens[order[end]] != token || (first > 0 && tokens[order[first - 1]] == token)) return;
    float sums[VECTOR], parts[VECTOR];
    load_floats(sums, partials + (static_cast<size_t>(blockIdx.x) * 2 + 1) * width + column);
    for (int tile = blockIdx.x + 1; tile * TILE < count && tokens[order[tile * TILE]] == token; ++tile) {
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
