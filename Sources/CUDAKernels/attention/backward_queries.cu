// The gradients of a tile of queries of one head, through the state before their chunk and through the keys of the chunk.
//
//     ∂a_ij = r_i (∂y_i·v_j + o_i),   r_i = 1 / normalizer_i,   o_i = −∂y_i·y_i
//     ∂q_i  = r_i (Σ_j (∂y_i·v_j + o_i) p (q_i·k_j)^(p − 1) exp(G_i − G_j) k_j + exp(G_i) (∂φ(q_i)/∂q_i)ᵀ (S ∂y_i + z o_i))
//
// with |r_i| in `statistics`; without normalization r_i is the factor of the row, and o_i = 0.
//
// With OFFSETS this kernel computes o from `exact`, y before it was rounded, and marks rows that see one key only, as output_gradients of
// prepare/inputs.cu does otherwise.
//
// DEGREE 0: ∂q_i = scale Σ_j P_ij (∂y_i·v_j + o_i) k_j with P_ij = exp(score_ij − log-sum of row i).
//
// Grid: tiles, query heads, columns of ∂q by WIDTH_TILE. Block: WARPS warps of 16 · ROW_TILES queries.
// Shared memory: queries [ROWS, WIDTH + 8]; ∂y [ROWS, VALUE_WIDTH + 8]; with states ∂q of the state [ROWS, WIDTH + 4] in the type of
// the sums; then, for the larger of both, STAGES of states [FEATURES, VALUE_WIDTH + 8], or STAGES of keys [KEYS, WIDTH + 8] and values
// [KEYS, VALUE_WIDTH + 8], log-gates [KEYS] float2 and decays [KEYS] float.
#include "common/copy.cuh"
#include "common/decay.cuh"
#include "common/expansion.cuh"
#include "common/exponents.cuh"
#include "common/output.cuh"
#include "common/state_gradient.cuh"

constexpr int ROWS = WARPS * 16 * ROW_TILES;
constexpr int THREADS = WARPS * 32;
constexpr int WIDTH_STRIDE = WIDTH + 8;
constexpr int VALUE_STRIDE = VALUE_WIDTH + 8;
constexpr int STATE_STAGE = FEATURES * VALUE_STRIDE;
constexpr int KEY_STAGE = KEYS * (WIDTH_STRIDE + VALUE_STRIDE);
static_assert(WIDTH % WIDTH_TILE == 0 && WIDTH_TILE % 16 == 0, "tiles are whole fragments");
static_assert(VALUE_WIDTH % 16 == 0 && KEYS % 16 == 0 && FEATURES % 16 == 0, "tiles are whole fragments");
static_assert(ROWS % KEYS == 0, "a tile of queries begins where a tile of keys does");
static_assert(!OFFSETS || (MATH == 0 && NORMALIZED), "offsets are of normalized rows in bfloat16");
static_assert(KEYS <= THREADS, "a thread brings the gate of one key");
static_assert(STAGES == 1 || STAGES == 2, "one tile in use, and one under way at most");

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) attention_backward_queries(
    const elem *givenQ, const elem *givenK, const elem *scaledQ, const elem *scaledK, const int *__restrict__ isScaled,
    const elem *__restrict__ v, const elem *__restrict__ dy,
    float *__restrict__ offsets, float *__restrict__ statistics, const float2 *__restrict__ gates,
    const int *__restrict__ firstVisible, const elem *__restrict__ states, const unsigned *__restrict__ blocks, const int *__restrict__ queryExponents,
    const int4 *__restrict__ tiles, const int4 *__restrict__ chunks, input *__restrict__ dq, float *__restrict__ rowSums, int tokens,
    int queryHeads, int keyHeads, int width, int blockCount, int hasInitialState, int window, float scale, float gradientScale,
    const float *__restrict__ exact
) {
    extern __shared__ __align__(128) unsigned char memory[];
    elem *queries = reinterpret_cast<elem *>(memory);
    elem *gradients = queries + ROWS * WIDTH_STRIDE;
    accumulator *stateGradients = reinterpret_cast<accumulator *>(gradients + ROWS * VALUE_STRIDE);
    elem *stages = reinterpret_cast<elem *>(stateGradients + (STATES ? ROWS * STATE_GRADIENT_STRIDE : 0));
    float2 *keyGates = reinterpret_cast<float2 *>(stages + STAGES * KEY_STAGE);
    float *keyDecays = reinterpret_cast<float *>(keyGates + STAGES * KEYS);

    const elem *q = choose_rows(givenQ, scaledQ, isScaled, 0), *k = choose_rows(givenK, scaledK, isScaled, 1);

    const int4 tile = tiles[blockIdx.x];
    const int firstToken = tile.x, count = tile.y, chunk = tile.z, chunkStart = tile.w;
    const int head = blockIdx.y, keyHead = head / (queryHeads / keyHeads), column = blockIdx.z * WIDTH_TILE;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int warpRow = warp * 16 * ROW_TILES;
    const elem *warpQueries = queries + warpRow * WIDTH_STRIDE, *warpGradients = gradients + warpRow * VALUE_STRIDE;
    const size_t firstRow = static_cast<size_t>(firstToken) * queryHeads + head;

    copy_tile<ROWS, WIDTH, THREADS>(
        queries, WIDTH_STRIDE, q + firstRow * WIDTH, static_cast<size_t>(queryHeads) * WIDTH, count);
    copy_tile<ROWS, VALUE_WIDTH, THREADS>(
        gradients, VALUE_STRIDE, dy + firstRow * VALUE_WIDTH, static_cast<size_t>(queryHeads) * VALUE_WIDTH, count);
    commit_copies();

    accumulator sums[ROW_TILES][WIDTH_TILE / 8][4] = {};
    float rowOffsets[ROW_TILES][2], rowStatistics[ROW_TILES][2];
#if DEGREE == 0
    int rowFirst[ROW_TILES][2];
#endif
#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const size_t row = min(warpRow + m * 16 + half * 8 + g, count - 1);
#if !OFFSETS
            rowOffsets[m][half] = offsets[firstRow + row * queryHeads];
            rowStatistics[m][half] = statistics[firstRow + row * queryHeads];
#endif
#if DEGREE == 0
            rowFirst[m][half] = firstVisible == nullptr ? 0 : firstVisible[static_cast<size_t>(keyHead) * tokens + firstToken + row];
#endif
        }
#if GATED
    const float2 *headGates = gates + static_cast<size_t>(keyHead) * tokens;
    const float2 baseGate = headGates[firstToken];
    float2 rowGates[ROW_TILES][2];
#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half)
            rowGates[m][half] = headGates[firstToken + min(warpRow + m * 16 + half * 8 + g, count - 1)];
#endif

#if OFFSETS
    // Two lanes a row.
    wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m) {
        const int row = warpRow + m * 16 + lane / 2;
        const size_t place = firstRow + static_cast<size_t>(min(row, count - 1)) * queryHeads;
        const float4 *outputs = reinterpret_cast<const float4 *>(exact + place * VALUE_WIDTH) + lane % 2;
        const uint2 *own = reinterpret_cast<const uint2 *>(gradients + row * VALUE_STRIDE) + lane % 2;
        float product = 0;
#pragma unroll 8
        for (int n = 0; n < VALUE_WIDTH / 4; n += 2) {
            const float4 output = outputs[n];
            const uint2 gradient = own[n];
            product += output.x * low_bfloat16(gradient.x) + output.y * high_bfloat16(gradient.x)
                + output.z * low_bfloat16(gradient.y) + output.w * high_bfloat16(gradient.y);
        }
        const float offset = -(product + __shfl_xor_sync(~0u, product, 1));
        float statistic = statistics[place];
#if DEGREE > 0
        const bool isFirst = !hasInitialState && (chunks[chunk].w & 1);
        if (is_alone(
                firstToken + min(row, count - 1), chunkStart, isFirst,
                GATED ? gates + static_cast<size_t>(keyHead) * tokens : nullptr))
            statistic = -fabsf(statistic);
#endif
        __syncwarp();
        if (lane % 2 == 0 && row < count && blockIdx.z == 0) offsets[place] = offset, statistics[place] = statistic;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            rowOffsets[m][half] = __shfl_sync(~0u, offset, 2 * g + 16 * half);
            rowStatistics[m][half] = __shfl_sync(~0u, statistic, 2 * g + 16 * half);
        }
    }
#endif

#if STATES
    if (hasInitialState || !(chunks[chunk].w & 1)) {
        const int featureCount = blockCount * 16, stateStride = VALUE_WIDTH + 8;
        const elem *state = states + (static_cast<size_t>(chunk) * keyHeads + keyHead) * featureCount * stateStride;
        for (int n = threadIdx.x; n < ROWS * STATE_GRADIENT_STRIDE; n += THREADS) stateGradients[n] = 0;
        auto copyStates = [&](int first, int stage) {
            copy_tile<FEATURES, VALUE_WIDTH + 8, THREADS>(
                stages + stage * STATE_STAGE, VALUE_STRIDE, state + static_cast<size_t>(first) * stateStride, stateStride,
                featureCount - first);
            commit_copies();
        };
        StateGradient<ROW_TILES> gradient(warpQueries, stateGradients + warpRow * STATE_GRADIENT_STRIDE);
        copyStates(0, 0);
        for (int first = 0, stage = 0; first < featureCount; first += FEATURES, stage ^= STAGES - 1) {
            if (STAGES == 2 && first + FEATURES < featureCount) {
                copyStates(first + FEATURES, stage ^ 1);
                wait_copies<1>();
            } else {
                wait_copies<0>();
            }
            __syncthreads();
            const elem *features = stages + stage * STATE_STAGE;
            const int end = min(FEATURES, featureCount - first);
            for (int feature = 0; feature < end; feature += 16) {
                const unsigned block = __ldg(blocks + (first + feature) / 16);
                const elem *values = features + feature * VALUE_STRIDE;
                gradient.select(block);
                accumulator products[ROW_TILES][2][4];
                gradient.start(products, rowOffsets, values + VALUE_WIDTH);
#pragma unroll DEPTH_UNROLL
                for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth) {
                    FragmentB b[2];
                    load_b(b, values + depth * 16, VALUE_STRIDE);
#pragma unroll
                    for (int m = 0; m < ROW_TILES; ++m) {
                        FragmentA a;
                        load_a(a, warpGradients + m * 16 * VALUE_STRIDE + depth * 16, VALUE_STRIDE);
                        multiply(products[m][0], a, b[0]);
                        multiply(products[m][1], a, b[1]);
                    }
                }
                gradient.add(block, products);
            }
            __syncthreads();
            if (STAGES == 1 && first + FEATURES < featureCount) copyStates(first + FEATURES, 0);
        }
        gradient.finish();
#if GATED
        const float baseDecay = decay_from_start(baseGate);
#else
        const float baseDecay = 1;
#endif
#pragma unroll
        for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
            for (int n = 0; n < WIDTH_TILE / 8; ++n)
#pragma unroll
                for (int c = 0; c < 4; ++c)
                    sums[m][n][c] = baseDecay
                        * stateGradients
                            [(warpRow + m * 16 + c / 2 * 8 + g) * STATE_GRADIENT_STRIDE + column + n * 8 + 2 * t + c % 2];
    }
#endif

#if DEGREE == 0
    const int firstSeen = window > 0 ? max(chunkStart, firstToken - window + 1) : chunkStart;
    const int begin = chunkStart + (firstSeen - chunkStart) / KEYS * KEYS;
#else
    const int begin = chunkStart;
#endif
    const int end = firstToken + count;
#if GATED
    // The gate of one key a thread, on its way while the tile before it is multiplied.
    float2 fetchedGate;
#endif
    auto copyKeys = [&](int first, int stage) {
        elem *shared = stages + stage * KEY_STAGE;
        const size_t row = static_cast<size_t>(first) * keyHeads + keyHead;
        copy_tile<KEYS, WIDTH, THREADS>(
            shared, WIDTH_STRIDE, k + row * WIDTH, static_cast<size_t>(keyHeads) * WIDTH, end - first);
        copy_tile<KEYS, VALUE_WIDTH, THREADS>(
            shared + KEYS * WIDTH_STRIDE, VALUE_STRIDE, v + row * VALUE_WIDTH, static_cast<size_t>(keyHeads) * VALUE_WIDTH,
            end - first);
        commit_copies();
#if GATED
        if (threadIdx.x < KEYS) {
            keyGates[stage * KEYS + threadIdx.x] = fetchedGate;
            keyDecays[stage * KEYS + threadIdx.x] = first < firstToken ? decay(baseGate, fetchedGate) : 1;
            fetchedGate = headGates[min(first + KEYS + static_cast<int>(threadIdx.x), end - 1)];
        }
#endif
    };
#if GATED
    if (threadIdx.x < KEYS) fetchedGate = headGates[min(begin + static_cast<int>(threadIdx.x), end - 1)];
#endif
    copyKeys(begin, 0);
    for (int first = begin, stage = 0; first < end; first += KEYS, stage ^= STAGES - 1) {
        if (STAGES == 2 && first + KEYS < end) {
            copyKeys(first + KEYS, stage ^ 1);
            wait_copies<1>();
        } else {
            wait_copies<0>();
        }
        __syncthreads();
        const elem *keys = stages + stage * KEY_STAGE, *values = keys + KEYS * WIDTH_STRIDE;
        const bool isDiagonal = first >= firstToken;
#if GATED && DEGREE > 0
        if (first == firstToken) {
#pragma unroll
            for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const float factor = decay(rowGates[m][half], baseGate);
#pragma unroll
                    for (int n = 0; n < WIDTH_TILE / 8; ++n) {
                        sums[m][n][2 * half] *= factor;
                        sums[m][n][2 * half + 1] *= factor;
                    }
                }
        }
#endif
        if (first <= firstToken + warpRow + 16 * ROW_TILES - 1) {
            accumulator scores[ROW_TILES][KEYS / 8][4] = {}, weights[ROW_TILES][KEYS / 8][4];
#pragma unroll DEPTH_UNROLL
            for (int depth = 0; depth < WIDTH / 16; ++depth) {
                FragmentA a[ROW_TILES];
#pragma unroll
                for (int m = 0; m < ROW_TILES; ++m)
                    load_a(a[m], warpQueries + m * 16 * WIDTH_STRIDE + depth * 16, WIDTH_STRIDE);
#pragma unroll
                for (int n = 0; n < KEYS / 16; ++n) {
                    FragmentB b[2];
                    load_b(b, keys + n * 16 * WIDTH_STRIDE + depth * 16, WIDTH_STRIDE);
#pragma unroll
                    for (int m = 0; m < ROW_TILES; ++m) {
                        multiply(scores[m][2 * n], a[m], b[0]);
                        multiply(scores[m][2 * n + 1], a[m], b[1]);
                    }
                }
            }
#pragma unroll
            for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
                for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                    for (int c = 0; c < 4; ++c) weights[m][n][c] = rowOffsets[m][c / 2];
#pragma unroll DEPTH_UNROLL
            for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth) {
                FragmentA a[ROW_TILES];
#pragma unroll
                for (int m = 0; m < ROW_TILES; ++m)
                    load_a(a[m], warpGradients + m * 16 * VALUE_STRIDE + depth * 16, VALUE_STRIDE);
#pragma unroll
                for (int n = 0; n < KEYS / 16; ++n) {
                    FragmentB b[2];
                    load_b(b, values + n * 16 * VALUE_STRIDE + depth * 16, VALUE_STRIDE);
#pragma unroll
                    for (int m = 0; m < ROW_TILES; ++m) {
                        multiply(weights[m][2 * n], a[m], b[0]);
                        multiply(weights[m][2 * n + 1], a[m], b[1]);
                    }
                }
            }
#pragma unroll
            for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
                for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                    for (int c = 0; c < 4; ++c) {
                        const int place = n * 8 + 2 * t + c % 2;
                        const int key = first + place, query = firstToken + warpRow + m * 16 + c / 2 * 8 + g;
                        const accumulator score = scores[m][n][c];
#if DEGREE == 0
                        accumulator exponent = score * scale - rowStatistics[m][c / 2];
#if GATED
                        exponent += decay_exponent(rowGates[m][c / 2], keyGates[stage * KEYS + place]);
#endif
                        const bool isVisible = key <= query && key >= rowFirst[m][c / 2];
                        scores[m][n][c] = isVisible ? weights[m][n][c] * exp2(exponent) : 0;
#else
                        accumulator derivative = weights[m][n][c] * power_derivative(score);
#if GATED
                        derivative *= isDiagonal && key <= query ? decay(rowGates[m][c / 2], keyGates[stage * KEYS + place])
                                                                 : keyDecays[stage * KEYS + place];
#endif
                        // A normalized row of one weight does not depend on it; what rounding leaves of that would be divided by the
                        // score.
                        const bool isDropped = isDiagonal && (key > query || (NORMALIZED && key == query && rowStatistics[m][c / 2] < 0));
                        scores[m][n][c] = isDropped ? 0 : derivative;
#endif
                    }
#pragma unroll
            for (int depth = 0; depth < KEYS / 16; ++depth) {
                FragmentA a[ROW_TILES];
#pragma unroll
                for (int m = 0; m < ROW_TILES; ++m) make_a(a[m], scores[m][2 * depth], scores[m][2 * depth + 1]);
#pragma unroll
                for (int n = 0; n < WIDTH_TILE / 16; ++n) {
                    FragmentB b[2];
                    load_b_transposed(b, keys + depth * 16 * WIDTH_STRIDE + column + n * 16, WIDTH_STRIDE);
#pragma unroll
                    for (int m = 0; m < ROW_TILES; ++m) {
                        multiply(sums[m][2 * n], a[m], b[0]);
                        multiply(sums[m][2 * n + 1], a[m], b[1]);
                    }
                }
            }
        }
        __syncthreads();
        if (STAGES == 1 && first + KEYS < end) copyKeys(first + KEYS, 0);
    }

#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = warpRow + m * 16 + half * 8 + g;
            const bool isStored = row < count;
            const size_t place = firstRow + static_cast<size_t>(isStored ? row : 0) * queryHeads;
            accumulator product = 0;
#if DEGREE > 0
            const int exponent = queryExponents[place];
            const float factor = NORMALIZED ? fabsf(rowStatistics[m][half]) : rowStatistics[m][half];
#endif
#pragma unroll
            for (int n = 0; n < WIDTH_TILE / 8; ++n) {
                const int first = column + n * 8 + 2 * t;
                const elem *query = queries + row * WIDTH_STRIDE + first;
                accumulator left = sums[m][n][2 * half], right = sums[m][n][2 * half + 1];
#if DEGREE > 0
                left *= factor, right *= factor;
#endif
                product += left * from_elem(query[0]) + right * from_elem(query[1]);
#if DEGREE == 0
                left *= gradientScale, right *= gradientScale;
                if (isStored) store_pair(dq, place * width, first, width, left, right);
#else
                // The gradient of a query scaled by 2^−exponent.
                if (isStored)
                    store_pair(
                        dq, place * width, first, width, ldexpf(static_cast<float>(left), -exponent),
                        ldexpf(static_cast<float>(right), -exponent));
#endif
            }
#if DEGREE > 0
            // Euler: what the weights of the row contribute to the gradient of its gate.
            product = row_sum(product);
            if (rowSums != nullptr && isStored && t == 0)
                rowSums[static_cast<size_t>(blockIdx.z) * tokens * queryHeads + place] = static_cast<float>(product / DEGREE);
#endif
        }
}
