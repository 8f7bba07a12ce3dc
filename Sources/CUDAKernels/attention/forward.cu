// The outputs of a tile of queries of one head: the state before their chunk, then the keys of the chunk, under one normalizer.
//
//     y_i = (exp(G_i) φ(q_i)ᵀS + Σ_j (q_i·k_j)^p exp(G_i − G_j) v_j) / (exp(G_i) φ(q_i)ᵀz + Σ_j (q_i·k_j)^p exp(G_i − G_j))
//
// with G from the start of the chunk; without normalization the numerator times a factor a row. DEGREE 0 is exponential attention,
// a streaming softmax of scale · q_i·k_j + G_i − G_j over the keys from `firstVisible` of the query on.
//
// `exact` takes the outputs before they are rounded, for the backward pass.
//
// Grid: tiles, query heads, columns of values by VALUE_TILE. Block: WARPS warps of 16 · ROW_TILES queries.
// Shared memory: queries [ROWS, WIDTH + 8]; then, for the larger of both, STAGES of states [FEATURES, VALUE_TILE + 8], or STAGES of
// keys [KEYS, WIDTH + 8] and values [KEYS, VALUE_TILE + 8], log-gates [KEYS] float2 and decays [KEYS] float.
#include "common/copy.cuh"
#include "common/decay.cuh"
#include "common/expansion.cuh"
#include "common/exponents.cuh"
#include "common/output.cuh"

constexpr int ROWS = WARPS * 16 * ROW_TILES;
constexpr int THREADS = WARPS * 32;
constexpr int WIDTH_STRIDE = WIDTH + 8;
constexpr int VALUE_STRIDE = VALUE_TILE + 8;
constexpr int STATE_STAGE = FEATURES * VALUE_STRIDE;
constexpr int KEY_STAGE = KEYS * (WIDTH_STRIDE + VALUE_STRIDE);
static_assert(WIDTH % 16 == 0 && VALUE_TILE % 16 == 0 && KEYS % 16 == 0 && FEATURES % 16 == 0, "tiles are whole fragments");
static_assert(ROWS % KEYS == 0, "a tile of queries begins where a tile of keys does");
static_assert(KEYS <= THREADS, "a thread brings the gate of one key");
static_assert(STAGES == 1 || STAGES == 2, "one tile in use, and one under way at most");

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) attention_forward(
    const elem *givenQ, const elem *givenK, const elem *scaledQ, const elem *scaledK, const int *__restrict__ isScaled,
    const elem *__restrict__ v, const float2 *__restrict__ gates, const int *__restrict__ firstVisible, const elem *__restrict__ states, const unsigned *__restrict__ blocks, const int *__restrict__ queryExponents,
    const int *__restrict__ keyExponents, const int4 *__restrict__ tiles, const int4 *__restrict__ chunks,
    input *__restrict__ y, float *__restrict__ exact, float *__restrict__ statistics, int tokens, int queryHeads, int keyHeads, int valueWidth,
    int paddedValueWidth, int blockCount, int hasInitialState, int window, float scale,
    int scaleExponent
) {
    extern __shared__ __align__(128) unsigned char memory[];
    elem *queries = reinterpret_cast<elem *>(memory);
    elem *stages = queries + ROWS * WIDTH_STRIDE;
    float2 *keyGates = reinterpret_cast<float2 *>(stages + STAGES * KEY_STAGE);
    float *keyDecays = reinterpret_cast<float *>(keyGates + STAGES * KEYS);

    const elem *q = choose_rows(givenQ, scaledQ, isScaled, 0), *k = choose_rows(givenK, scaledK, isScaled, 1);

    const int4 tile = tiles[blockIdx.x];
    const int firstToken = tile.x, count = tile.y, chunk = tile.z, chunkStart = tile.w;
    const int head = blockIdx.y, keyHead = head / (queryHeads / keyHeads), column = blockIdx.z * VALUE_TILE;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int warpRow = warp * 16 * ROW_TILES;
    const size_t keyStride = static_cast<size_t>(keyHeads) * WIDTH;
    const size_t valueStride = static_cast<size_t>(keyHeads) * paddedValueWidth;
    const elem *warpQueries = queries + warpRow * WIDTH_STRIDE;

    copy_tile<ROWS, WIDTH, THREADS>(
        queries, WIDTH_STRIDE, q + (static_cast<size_t>(firstToken) * queryHeads + head) * WIDTH,
        static_cast<size_t>(queryHeads) * WIDTH, count);
    commit_copies();

    accumulator sums[ROW_TILES][VALUE_TILE / 8][4] = {};
    accumulator weightSums[ROW_TILES][2] = {};

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

    // The state before the chunk.
#if STATES
    if (hasInitialState || !(chunks[chunk].w & 1)) {
        const int featureCount = blockCount * 16, stateStride = paddedValueWidth + 8;
        const elem *state = states + (static_cast<size_t>(chunk) * keyHeads + keyHead) * featureCount * stateStride;
        accumulator normalizers[ROW_TILES][4] = {};
        auto copyStates = [&](int first, int stage) {
            elem *shared = stages + stage * STATE_STAGE;
            const elem *global = state + static_cast<size_t>(first) * stateStride;
            copy_tile<FEATURES, VALUE_TILE, THREADS>(shared, VALUE_STRIDE, global + column, stateStride, featureCount - first);
            copy_tile<FEATURES, 8, THREADS>(
                shared + VALUE_TILE, VALUE_STRIDE, global + paddedValueWidth, stateStride, featureCount - first);
            commit_copies();
        };
        FragmentA last[ROW_TILES];
        int lastIndex = -1;
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
                if (last_index(block) != lastIndex) {
                    lastIndex = last_index(block);
#pragma unroll
                    for (int m = 0; m < ROW_TILES; ++m)
                        load_a(last[m], warpQueries + m * 16 * WIDTH_STRIDE + lastIndex * 16, WIDTH_STRIDE);
                }
                FragmentA phi[ROW_TILES];
#pragma unroll
                for (int m = 0; m < ROW_TILES; ++m) {
                    const elem *row = warpQueries + (m * 16 + g) * WIDTH_STRIDE;
                    expand_rows(phi[m], last[m], prefix_product(row, block), prefix_product(row + 8 * WIDTH_STRIDE, block));
                }
                const elem *values = features + feature * VALUE_STRIDE;
#pragma unroll
                for (int n = 0; n < VALUE_TILE / 16; ++n) {
                    FragmentB b[2];
                    load_b_transposed(b, values + n * 16, VALUE_STRIDE);
#pragma unroll
                    for (int m = 0; m < ROW_TILES; ++m) {
                        multiply(sums[m][2 * n], phi[m], b[0]);
                        multiply(sums[m][2 * n + 1], phi[m], b[1]);
                    }
                }
#if NORMALIZED
                FragmentB b;
                load_b8_transposed(b, values + VALUE_TILE, VALUE_STRIDE);
#pragma unroll
                for (int m = 0; m < ROW_TILES; ++m) multiply(normalizers[m], phi[m], b);
#endif
            }
            __syncthreads();
            if (STAGES == 1 && first + FEATURES < featureCount) copyStates(first + FEATURES, 0);
        }
#if GATED
        const float baseDecay = decay_from_start(baseGate);
#else
        const float baseDecay = 1;
#endif
#pragma unroll
        for (int m = 0; m < ROW_TILES; ++m) {
#pragma unroll
            for (int n = 0; n < VALUE_TILE / 8; ++n)
#pragma unroll
                for (int c = 0; c < 4; ++c) sums[m][n][c] *= baseDecay;
            // Column 0 of the normalizers is with the first lane of a row: the sum over its lanes adds the weights of the chunk.
            if (t == 0) {
                weightSums[m][0] = normalizers[m][0] * baseDecay;
                weightSums[m][1] = normalizers[m][2] * baseDecay;
            }
        }
    }
#endif

    // The keys of the chunk.
#if DEGREE == 0
    accumulator maxima[ROW_TILES][2];
#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m) maxima[m][0] = maxima[m][1] = -INFINITY;
    int rowFirst[ROW_TILES][2];
#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half)
            rowFirst[m][half] = firstVisible == nullptr
                ? 0 : firstVisible[static_cast<size_t>(keyHead) * tokens + firstToken + min(warpRow + m * 16 + half * 8 + g, count - 1)];
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
        copy_tile<KEYS, WIDTH, THREADS>(
            shared, WIDTH_STRIDE, k + (static_cast<size_t>(first) * keyHeads + keyHead) * WIDTH, keyStride, end - first);
        copy_tile<KEYS, VALUE_TILE, THREADS>(
            shared + KEYS * WIDTH_STRIDE, VALUE_STRIDE,
            v + (static_cast<size_t>(first) * keyHeads + keyHead) * paddedValueWidth + column, valueStride, end - first);
        commit_copies();
#if GATED
        if (threadIdx.x < KEYS) {
            keyGates[stage * KEYS + threadIdx.x] = fetchedGate;
            // Keys before the tile of queries: a decay to the tile's first query, never above one.
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
            // What was summed so far has decayed to the first query of the tile only.
#pragma unroll
            for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const float factor = decay(rowGates[m][half], baseGate);
                    weightSums[m][half] *= factor;
#pragma unroll
                    for (int n = 0; n < VALUE_TILE / 8; ++n) {
                        sums[m][n][2 * half] *= factor;
                        sums[m][n][2 * half + 1] *= factor;
                    }
                }
        }
#endif
        // Keys after all of the warp's queries have no weight.
        if (first <= firstToken + warpRow + 16 * ROW_TILES - 1) {
            accumulator scores[ROW_TILES][KEYS / 8][4] = {};
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
            const float2 *stageGates = keyGates + stage * KEYS;
            const float *stageDecays = keyDecays + stage * KEYS;
#if DEGREE == 0
#pragma unroll
            for (int m = 0; m < ROW_TILES; ++m) {
                accumulator largest[2] = {maxima[m][0], maxima[m][1]};
#pragma unroll
                for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                    for (int c = 0; c < 4; ++c) {
                        const int key = first + n * 8 + 2 * t + c % 2, query = firstToken + warpRow + m * 16 + c / 2 * 8 + g;
                        accumulator &score = scores[m][n][c];
                        score *= scale;
#if GATED
                        score += decay_exponent(rowGates[m][c / 2], stageGates[n * 8 + 2 * t + c % 2]);
#endif
                        if (key > query || key < rowFirst[m][c / 2]) score = -INFINITY;
                        largest[c / 2] = score > largest[c / 2] ? score : largest[c / 2];
                    }
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const accumulator maximum = row_maximum(largest[half]);
                    // A row that has seen no key yet has nothing to shrink.
                    const accumulator shrink = maxima[m][half] == -INFINITY ? 0 : exp2(maxima[m][half] - maximum);
                    const accumulator origin = maximum == -INFINITY ? 0 : maximum;
                    maxima[m][half] = maximum;
                    accumulator sum = 0;
#pragma unroll
                    for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                        for (int c = 2 * half; c < 2 * half + 2; ++c) {
                            scores[m][n][c] = as_operand(exp2(scores[m][n][c] - origin));
                            sum += scores[m][n][c];
                        }
                    weightSums[m][half] = weightSums[m][half] * shrink + sum;
#pragma unroll
                    for (int n = 0; n < VALUE_TILE / 8; ++n) {
                        sums[m][n][2 * half] *= shrink;
                        sums[m][n][2 * half + 1] *= shrink;
                    }
                }
            }
#else
#pragma unroll
            for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
                for (int n = 0; n < KEYS / 8; ++n)
#pragma unroll
                    for (int c = 0; c < 4; ++c) {
                        const int place = n * 8 + 2 * t + c % 2;
                        accumulator weight = power(scores[m][n][c]);
                        if (isDiagonal) {
                            const bool isCausal = first + place <= firstToken + warpRow + m * 16 + c / 2 * 8 + g;
#if GATED
                            weight = isCausal ? weight * decay(rowGates[m][c / 2], stageGates[place]) : 0;
#else
                            weight = isCausal ? weight : 0;
#endif
                        } else {
#if GATED
                            weight *= stageDecays[place];
#endif
                        }
                        // The normalizer sums what multiplies the values: where one weight dominates, the answer is its value, as its
                        // gradient has to cancel.
                        weight = as_operand(weight);
                        scores[m][n][c] = weight;
                        weightSums[m][c / 2] += weight;
                    }
#endif
#pragma unroll
            for (int depth = 0; depth < KEYS / 16; ++depth) {
                FragmentA a[ROW_TILES];
#pragma unroll
                for (int m = 0; m < ROW_TILES; ++m) make_a(a[m], scores[m][2 * depth], scores[m][2 * depth + 1]);
#pragma unroll
                for (int n = 0; n < VALUE_TILE / 16; ++n) {
                    FragmentB b[2];
                    load_b_transposed(b, values + depth * 16 * VALUE_STRIDE + n * 16, VALUE_STRIDE);
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

    // One factor a row.
#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int row = warpRow + m * 16 + half * 8 + g;
            const accumulator total = row_sum(weightSums[m][half]);
            if (row >= count) continue;
            const size_t place = static_cast<size_t>(firstToken + row) * queryHeads + head;
            accumulator factor;
            float statistic;
#if DEGREE == 0
            factor = 1 / total;
            statistic = static_cast<float>(maxima[m][half] + log2(total));
#elif NORMALIZED
            const RowScale<accumulator> rowScale(total);
            factor = rowScale.factor, statistic = rowScale.statistic;
#else
            factor = scale;
            const int exponent = scaleExponent + DEGREE * (queryExponents[place] + keyExponents[static_cast<size_t>(chunk) * keyHeads + keyHead]);
            statistic = unnormalized_statistic(scale, exponent);
#endif
            if (t == 0 && blockIdx.z == 0) statistics[place] = statistic;
#pragma unroll
            for (int n = 0; n < VALUE_TILE / 8; ++n) {
                const int first = column + n * 8 + 2 * t;
#if DEGREE > 0 && NORMALIZED
                sums[m][n][2 * half] *= rowScale.lift, sums[m][n][2 * half + 1] *= rowScale.lift;
#endif
                float left = static_cast<float>(sums[m][n][2 * half] * factor);
                float right = static_cast<float>(sums[m][n][2 * half + 1] * factor);
#if DEGREE > 0 && !NORMALIZED
                left = ldexpf(left, exponent), right = ldexpf(right, exponent);
#endif
                if (y != nullptr) store_pair(y, place * valueWidth, first, valueWidth, left, right);
                if (exact != nullptr && first < valueWidth) {
                    exact[place * valueWidth + first] = left;
                    if (first + 1 < valueWidth) exact[place * valueWidth + first + 1] = right;
                }
            }
        }
}
