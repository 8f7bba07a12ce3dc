// The gradients of a tile of keys and values of one key head, from the queries of their chunk and from the gradient of the state after it.
//
//     ∂v_j = Σ_i a_ij r_i ∂y_i + exp(G_end − G_j) dSᵀφ(k_j)
//     ∂k_j = Σ_i ∂a_ij p (q_i·k_j)^(p − 1) exp(G_i − G_j) q_i + exp(G_end − G_j) (∂φ(k_j)/∂k_j)ᵀ (dS v_j + dz)
//
// with ∂a_ij = r_i (∂y_i·v_j + o_i), r and o as for the queries; all query heads that read the key head are summed. DEGREE 0:
// ∂v_j = Σ_i P_ij ∂y_i, ∂k_j = scale Σ_i P_ij (∂y_i·v_j + o_i) q_i.
//
// Grid: tiles, key heads, splits: columns of ∂k by WIDTH_TILE and of ∂v by VALUE_TILE; a split may have one of them only.
// Block: WARPS warps of 16 keys. Shared memory: keys [ROWS, WIDTH + 8]; values [ROWS, VALUE_WIDTH + 8]; with states ∂k of the state
// [ROWS, WIDTH + 4] in the type of the sums; then, for the larger of both, STAGES of states [FEATURES, VALUE_WIDTH + 8], or STAGES of
// queries [QUERIES, WIDTH + 8] and ∂y [QUERIES, VALUE_WIDTH + 8], then [QUERIES] log-gates float2, factors, offsets and statistics float, first visible keys int.
#include "common/copy.cuh"
#include "common/decay.cuh"
#include "common/expansion.cuh"
#include "common/exponents.cuh"
#include "common/output.cuh"
#include "common/state_gradient.cuh"

constexpr int ROWS = WARPS * 16;
constexpr int THREADS = WARPS * 32;
constexpr int WIDTH_STRIDE = WIDTH + 8;
constexpr int VALUE_STRIDE = VALUE_WIDTH + 8;
constexpr int STATE_STAGE = FEATURES * VALUE_STRIDE;
constexpr int QUERY_STAGE = QUERIES * (WIDTH_STRIDE + VALUE_STRIDE);
static_assert(WIDTH % WIDTH_TILE == 0 && WIDTH_TILE % 16 == 0, "tiles are whole fragments");
static_assert(VALUE_WIDTH % VALUE_TILE == 0 && VALUE_TILE % 16 == 0, "tiles are whole fragments");
static_assert(QUERIES % 16 == 0 && FEATURES % 16 == 0, "tiles are whole fragments");
static_assert(ROWS % QUERIES == 0, "a tile of keys ends where a tile of queries does");
static_assert(QUERIES <= THREADS, "a thread brings the numbers of one query");
static_assert(STAGES == 1 || STAGES == 2, "one tile in use, and one under way at most");

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) attention_backward_keys(
    const elem *givenQ, const elem *givenK, const elem *scaledQ, const elem *scaledK, const int *__restrict__ isScaled,
    const elem *__restrict__ v, const elem *__restrict__ dy,
    const float *__restrict__ offsets, const float *__restrict__ statistics, const float2 *__restrict__ gates,
    const int *__restrict__ firstVisible, const elem *__restrict__ stateGradients, const unsigned *__restrict__ blocks, const int *__restrict__ keyExponents,
    const int4 *__restrict__ tiles, const int4 *__restrict__ chunks, input *__restrict__ dk, input *__restrict__ dv, int valueStride,
    float *__restrict__ columnSums, int tokens, int queryHeads, int keyHeads, int width, int valueWidth, int blockCount,
    int hasFinalGradient, int window, float scale, float gradientScale
) {
    extern __shared__ __align__(128) unsigned char memory[];
    elem *keys = reinterpret_cast<elem *>(memory);
    elem *values = keys + ROWS * WIDTH_STRIDE;
    accumulator *keyStateGradients = reinterpret_cast<accumulator *>(values + ROWS * VALUE_STRIDE);
    elem *stages = reinterpret_cast<elem *>(keyStateGradients + (STATES ? ROWS * STATE_GRADIENT_STRIDE : 0));
    float2 *queryGates = reinterpret_cast<float2 *>(stages + STAGES * QUERY_STAGE);
    float *queryFactors = reinterpret_cast<float *>(queryGates + STAGES * QUERIES);
    float *queryOffsets = queryFactors + STAGES * QUERIES;
    float *queryStatistics = queryOffsets + STAGES * QUERIES;
#if DEGREE == 0
    int *queryFirst = reinterpret_cast<int *>(queryStatistics + STAGES * QUERIES);
#endif

    const elem *q = choose_rows(givenQ, scaledQ, isScaled, 0), *k = choose_rows(givenK, scaledK, isScaled, 1);

    const int4 tile = tiles[blockIdx.x];
    const int firstToken = tile.x, count = tile.y, chunk = tile.z;
    const int4 span = chunks[chunk];
    const int chunkEnd = span.x + span.y, tileEnd = firstToken + count;
    const int head = blockIdx.y, group = queryHeads / keyHeads;
    const int keyColumn = blockIdx.z * WIDTH_TILE, valueColumn = blockIdx.z * VALUE_TILE;
    const bool hasKeys = keyColumn < WIDTH, hasValues = valueColumn < VALUE_WIDTH;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int warpRow = warp * 16;
    const elem *warpKeys = keys + warpRow * WIDTH_STRIDE, *warpValues = values + warpRow * VALUE_STRIDE;
    const size_t firstRow = static_cast<size_t>(firstToken) * keyHeads + head;

    copy_tile<ROWS, WIDTH, THREADS>(
        keys, WIDTH_STRIDE, k + firstRow * WIDTH, static_cast<size_t>(keyHeads) * WIDTH, count);
    copy_tile<ROWS, VALUE_WIDTH, THREADS>(
        values, VALUE_STRIDE, v + firstRow * VALUE_WIDTH, static_cast<size_t>(keyHeads) * VALUE_WIDTH, count);
    commit_copies();

    accumulator keySums[WIDTH_TILE / 8][4] = {}, valueSums[VALUE_TILE / 8][4] = {};
#if DEGREE == 0
    accumulator weightSums[2] = {};
#endif
#if GATED
    const float2 *headGates = gates + static_cast<size_t>(head) * tokens;
    const float2 baseGate = headGates[tileEnd - 1];
    const float2 rowGates[2] = {
        headGates[firstToken + min(warpRow + g, count - 1)], headGates[firstToken + min(warpRow + 8 + g, count - 1)]};
#endif

#if STATES
    if (hasFinalGradient || !(span.w & 2)) {
        const int featureCount = blockCount * 16, stateStride = VALUE_WIDTH + 8;
        const elem *state = stateGradients + (static_cast<size_t>(chunk) * keyHeads + head) * featureCount * stateStride;
        for (int n = threadIdx.x; n < ROWS * STATE_GRADIENT_STRIDE; n += THREADS) keyStateGradients[n] = 0;
        auto copyStates = [&](int first, int stage) {
            copy_tile<FEATURES, VALUE_WIDTH + 8, THREADS>(
                stages + stage * STATE_STAGE, VALUE_STRIDE, state + static_cast<size_t>(first) * stateStride, stateStride,
                featureCount - first);
            commit_copies();
        };
        StateGradient<1> gradient(warpKeys, keyStateGradients + warpRow * STATE_GRADIENT_STRIDE);
        const float ones[1][2] = {{1, 1}};
        FragmentA last;
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
                const elem *gradients = features + feature * VALUE_STRIDE;
                if (hasValues) {
                    if (last_index(block) != lastIndex) {
                        lastIndex = last_index(block);
                        load_a(last, warpKeys + lastIndex * 16, WIDTH_STRIDE);
                    }
                    FragmentA phi;
                    const elem *row = warpKeys + g * WIDTH_STRIDE;
                    expand_rows(phi, last, prefix_product(row, block), prefix_product(row + 8 * WIDTH_STRIDE, block));
#pragma unroll
                    for (int n = 0; n < VALUE_TILE / 16; ++n) {
                        FragmentB b[2];
                        load_b_transposed(b, gradients + valueColumn + n * 16, VALUE_STRIDE);
                        multiply(valueSums[2 * n], phi, b[0]);
                        multiply(valueSums[2 * n + 1], phi, b[1]);
                    }
                }
                if (hasKeys) {
                    gradient.select(block);
                    accumulator products[1][2][4];
                    gradient.start(products, ones, gradients + VALUE_WIDTH);
#pragma unroll DEPTH_UNROLL
                    for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth) {
                        FragmentA a;
                        FragmentB b[2];
                        load_a(a, warpValues + depth * 16, VALUE_STRIDE);
                        load_b(b, gradients + depth * 16, VALUE_STRIDE);
                        multiply(products[0][0], a, b[0]);
                        multiply(products[0][1], a, b[1]);
                    }
                    gradient.add(block, products);
                }
            }
            __syncthreads();
            if (STAGES == 1 && first + FEATURES < featureCount) copyStates(first + FEATURES, 0);
        }
        gradient.finish();
#if GATED
        const float baseDecay = decay(headGates[chunkEnd - 1], baseGate);
#else
        const float baseDecay = 1;
#endif
#pragma unroll
        for (int n = 0; n < VALUE_TILE / 8; ++n)
#pragma unroll
            for (int c = 0; c < 4; ++c) valueSums[n][c] *= baseDecay;
        if (hasKeys) {
#pragma unroll
            for (int n = 0; n < WIDTH_TILE / 8; ++n)
#pragma unroll
                for (int c = 0; c < 4; ++c)
                    keySums[n][c] = baseDecay
                        * keyStateGradients[(warpRow + c / 2 * 8 + g) * STATE_GRADIENT_STRIDE + keyColumn + n * 8 + 2 * t + c % 2];
        }
    }
#endif

    // The tiles of queries of every head of the group: those after the keys first, at the decay to the last of the keys, then those of
    // the diagonal at their own.
    const int diagonalTiles = (count + QUERIES - 1) / QUERIES;
    int lastVisible = chunkEnd;
#if DEGREE == 0
    if (window > 0) lastVisible = min(chunkEnd, tileEnd - 1 + window);
#endif
    const int laterTiles = lastVisible > tileEnd ? (lastVisible - tileEnd + QUERIES - 1) / QUERIES : 0;
    const int laterCount = laterTiles * group, tileCount = laterCount + diagonalTiles * group;
    auto firstQuery = [&](int index) {
        return index < laterCount ? tileEnd + index % laterTiles * QUERIES
                                  : firstToken + (index - laterCount) % diagonalTiles * QUERIES;
    };
    auto memberOf = [&](int index) {
        return head * group + (index < laterCount ? index / laterTiles : (index - laterCount) / diagonalTiles);
    };
    // Numbers of one query a thread, on their way while the tile before them is multiplied.
    float fetchedOffset = 0, fetchedStatistic = 0;
#if DEGREE == 0
    int fetchedFirst = 0;
#endif
#if GATED
    float2 fetchedGate;
#endif
    auto fetch = [&](int index) {
        if (index >= tileCount || threadIdx.x >= QUERIES) return;
        const int first = firstQuery(index), last = (index < laterCount ? chunkEnd : tileEnd) - 1;
        const int token = min(first + static_cast<int>(threadIdx.x), last);
        const size_t place = static_cast<size_t>(token) * queryHeads + memberOf(index);
        fetchedOffset = first + static_cast<int>(threadIdx.x) <= last ? offsets[place] : 0;
        fetchedStatistic = statistics[place];
#if DEGREE == 0
        fetchedFirst = firstVisible == nullptr ? 0 : firstVisible[static_cast<size_t>(head) * tokens + token];
#endif
#if GATED
        fetchedGate = headGates[token];
#endif
    };
    auto copyQueries = [&](int index, int stage) {
        const int first = firstQuery(index);
        const int end = index < laterCount ? chunkEnd : tileEnd;
        const int member = memberOf(index);
        const size_t row = static_cast<size_t>(first) * queryHeads + member;
        elem *shared = stages + stage * QUERY_STAGE;
        copy_tile<QUERIES, WIDTH, THREADS>(
            shared, WIDTH_STRIDE, q + row * WIDTH, static_cast<size_t>(queryHeads) * WIDTH, end - first);
        copy_tile<QUERIES, VALUE_WIDTH, THREADS>(
            shared + QUERIES * WIDTH_STRIDE, VALUE_STRIDE, dy + row * VALUE_WIDTH,
            static_cast<size_t>(queryHeads) * VALUE_WIDTH, end - first);
        commit_copies();
        if (threadIdx.x < QUERIES) {
            const int n = stage * QUERIES + threadIdx.x;
            queryOffsets[n] = fetchedOffset;
#if DEGREE == 0
            queryFirst[n] = fetchedFirst;
#endif
#if DEGREE > 0
            queryFactors[n] = fetchedStatistic;
#else
            queryStatistics[n] = fetchedStatistic;
#endif
#if GATED
            queryGates[n] = fetchedGate;
            if (DEGREE > 0 && index < laterCount) queryFactors[n] *= decay(fetchedGate, baseGate);
#endif
        }
        fetch(index + 1);
    };
    fetch(0);
    copyQueries(0, 0);
    for (int index = 0, stage = 0; index < tileCount; ++index, stage ^= STAGES - 1) {
        if (STAGES == 2 && index + 1 < tileCount) {
            copyQueries(index + 1, stage ^ 1);
            wait_copies<1>();
        } else {
            wait_copies<0>();
        }
        __syncthreads();
        const elem *queries = stages + stage * QUERY_STAGE, *gradients = queries + QUERIES * WIDTH_STRIDE;
        const int first = firstQuery(index);
        const bool isDiagonal = index >= laterCount;
#if DEGREE == 0
        const int queryEnd = isDiagonal ? tileEnd : chunkEnd;
#endif
#if GATED && DEGREE > 0
        if (index == laterCount) {
#pragma unroll
            for (int c = 0; c < 4; ++c) {
                const float factor = decay(baseGate, rowGates[c / 2]);
#pragma unroll
                for (int n = 0; n < WIDTH_TILE / 8; ++n) keySums[n][c] *= factor;
#pragma unroll
                for (int n = 0; n < VALUE_TILE / 8; ++n) valueSums[n][c] *= factor;
            }
        }
#endif
        // Queries before all of the warp's keys do not see them.
        if (first + QUERIES > firstToken + warpRow) {
            accumulator scores[QUERIES / 8][4] = {}, weights[QUERIES / 8][4];
#pragma unroll DEPTH_UNROLL
            for (int depth = 0; depth < WIDTH / 16; ++depth) {
                FragmentA a;
                load_a(a, warpKeys + depth * 16, WIDTH_STRIDE);
#pragma unroll
                for (int n = 0; n < QUERIES / 16; ++n) {
                    FragmentB b[2];
                    load_b(b, queries + n * 16 * WIDTH_STRIDE + depth * 16, WIDTH_STRIDE);
                    multiply(scores[2 * n], a, b[0]);
                    multiply(scores[2 * n + 1], a, b[1]);
                }
            }
#pragma unroll
            for (int n = 0; n < QUERIES / 8; ++n)
#pragma unroll
                for (int c = 0; c < 4; ++c) weights[n][c] = queryOffsets[stage * QUERIES + n * 8 + 2 * t + c % 2];
            if (hasKeys) {
#pragma unroll DEPTH_UNROLL
                for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth) {
                    FragmentA a;
                    load_a(a, warpValues + depth * 16, VALUE_STRIDE);
#pragma unroll
                    for (int n = 0; n < QUERIES / 16; ++n) {
                        FragmentB b[2];
                        load_b(b, gradients + n * 16 * VALUE_STRIDE + depth * 16, VALUE_STRIDE);
                        multiply(weights[2 * n], a, b[0]);
                        multiply(weights[2 * n + 1], a, b[1]);
                    }
                }
            }
            // The scores become weights a_ij, the other product the gradients of the scores.
#pragma unroll
            for (int n = 0; n < QUERIES / 8; ++n)
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    const int place = n * 8 + 2 * t + c % 2;
                    const int query = first + place, key = firstToken + warpRow + c / 2 * 8 + g;
                    const accumulator score = scores[n][c];
#if DEGREE == 0
                    accumulator exponent = score * scale - queryStatistics[stage * QUERIES + place];
#if GATED
                    exponent += decay_exponent(queryGates[stage * QUERIES + place], rowGates[c / 2]);
#endif
                    const bool isVisible = key <= query && query < queryEnd && key >= queryFirst[stage * QUERIES + place];
                    scores[n][c] = isVisible ? exp2(exponent) : 0;
                    weights[n][c] *= scores[n][c];
                    weightSums[c / 2] += weights[n][c];
#else
                    // The sign of a normalized row's factor says that it sees one key only.
                    const float rowFactor = queryFactors[stage * QUERIES + place];
                    accumulator factor = isDiagonal && key > query ? 0 : NORMALIZED ? fabsf(rowFactor) : rowFactor;
#if GATED
                    if (isDiagonal && key <= query) factor *= decay(queryGates[stage * QUERIES + place], rowGates[c / 2]);
#endif
                    scores[n][c] = power(score) * factor;
                    // A normalized row of one weight does not depend on it; what rounding leaves of that would be divided by the score.
                    const bool isAlone = NORMALIZED && isDiagonal && key == query && rowFactor < 0;
                    weights[n][c] *= isAlone ? 0 : power_derivative(score) * factor;
#endif
                }
#pragma unroll
            for (int depth = 0; depth < QUERIES / 16; ++depth) {
                FragmentA a;
                if (hasValues) {
                    make_a(a, scores[2 * depth], scores[2 * depth + 1]);
#pragma unroll
                    for (int n = 0; n < VALUE_TILE / 16; ++n) {
                        FragmentB b[2];
                        load_b_transposed(b, gradients + depth * 16 * VALUE_STRIDE + valueColumn + n * 16, VALUE_STRIDE);
                        multiply(valueSums[2 * n], a, b[0]);
                        multiply(valueSums[2 * n + 1], a, b[1]);
                    }
                }
                if (hasKeys) {
                    make_a(a, weights[2 * depth], weights[2 * depth + 1]);
#pragma unroll
                    for (int n = 0; n < WIDTH_TILE / 16; ++n) {
                        FragmentB b[2];
                        load_b_transposed(b, queries + depth * 16 * WIDTH_STRIDE + keyColumn + n * 16, WIDTH_STRIDE);
                        multiply(keySums[2 * n], a, b[0]);
                        multiply(keySums[2 * n + 1], a, b[1]);
                    }
                }
            }
        }
        __syncthreads();
        if (STAGES == 1 && index + 1 < tileCount) copyQueries(index + 1, 0);
    }

#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int row = warpRow + half * 8 + g;
        const bool isStored = row < count;
        const size_t place = firstRow + static_cast<size_t>(isStored ? row : 0) * keyHeads;
        if (hasValues && isStored) {
            const size_t valuePlace = static_cast<size_t>(firstToken + row) * valueStride + head * valueWidth;
#pragma unroll
            for (int n = 0; n < VALUE_TILE / 8; ++n)
                store_pair(
                    dv, valuePlace, valueColumn + n * 8 + 2 * t, valueWidth, valueSums[n][2 * half],
                    valueSums[n][2 * half + 1]);
        }
        accumulator product = 0;
        if (hasKeys) {
#if DEGREE > 0
            const int exponent = keyExponents[static_cast<size_t>(chunk) * keyHeads + head];
#endif
#pragma unroll
            for (int n = 0; n < WIDTH_TILE / 8; ++n) {
                const int first = keyColumn + n * 8 + 2 * t;
                const elem *key = keys + row * WIDTH_STRIDE + first;
                accumulator left = keySums[n][2 * half], right = keySums[n][2 * half + 1];
                product += left * from_elem(key[0]) + right * from_elem(key[1]);
#if DEGREE == 0
                left *= gradientScale, right *= gradientScale;
                if (isStored) store_pair(dk, place * width, first, width, left, right);
#else
                // The gradient of a key scaled by 2^−exponent.
                if (isStored)
                    store_pair(
                        dk, place * width, first, width, ldexpf(static_cast<float>(left), -exponent),
                        ldexpf(static_cast<float>(right), -exponent));
#endif
            }
        }
        // What the weights of the column take from the gradient of its gate; Euler gives it for a power.
#if DEGREE == 0
        const accumulator total = row_sum(weightSums[half]);
        if (columnSums != nullptr && isStored && t == 0 && blockIdx.z == 0) columnSums[place] = static_cast<float>(total);
#else
        product = row_sum(product);
        if (columnSums != nullptr && isStored && t == 0 && hasKeys)
            columnSums[static_cast<size_t>(blockIdx.z) * tokens * keyHeads + place] = static_cast<float>(product / DEGREE);
#endif
    }
}
