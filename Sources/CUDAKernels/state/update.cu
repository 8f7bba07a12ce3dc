// The states between chunks, and the running decayed sum over the chunks, in one pass: a block keeps its tile of the state
// in registers, walks the chunks of one sequence, and writes each prefix once.
//
//     before chunk n            states[n] = coefficient ∘ S
//     over chunk n              S ← exp(G_end) S + Σ_j exp(G_end − G_j) φ(x_j) [v_j, extra_j]ᵀ
//
// x, v, extra are keys, values and ones. REVERSE 1 is the gradient of the states: the chunks from the last to the first, x, v, extra
// queries, gradients of the outputs and their offsets, r the rows' factors (attention/backward_queries.cu), all query heads of a key head
// summed,
//
//     after chunk n             states[n] = coefficient ∘ dS
//     over chunk n              dS ← exp(G_end) dS + Σ_i exp(G_i) r_i φ(x_i) [v_i, extra_i]ᵀ
//
// The state is [features, paddedValueWidth + 8]: column paddedValueWidth holds the sums of `extra`, the seven after it zeros.
// Scales: φ of a chunk's keys is in units of 2^(p · exponent of the chunk); the state changes units from chunk to chunk.
//
// Where walks are few, chunks are sequences of their own: `last` are their sums, which state/scan.cu adds up.
//
// Grid: features by 16 · ROW_TILES · WARPS, key heads · tiles of values by VALUE_TILE, sequences. Shared memory: STAGES of
// x [TOKENS, WIDTH + 8], v [TOKENS, VALUE_TILE + 8], factors [TOKENS] float, extra [TOKENS] float.
#include "common/copy.cuh"
#include "common/decay.cuh"
#include "common/expansion.cuh"
#include "common/exponents.cuh"

constexpr int THREADS = WARPS * 32;
constexpr int WIDTH_STRIDE = WIDTH + 8;
constexpr int VALUE_STRIDE = VALUE_TILE + 8;
constexpr int STAGE = TOKENS * (WIDTH_STRIDE + VALUE_STRIDE);
static_assert(WIDTH % 16 == 0 && VALUE_TILE % 16 == 0 && TOKENS % 16 == 0, "tiles are whole fragments");
static_assert(STAGES == 1 || STAGES == 2, "one tile in use, and one under way at most");
static_assert(DEGREE >= 1, "exponential attention has no state");
static_assert(TOKENS <= THREADS, "a thread brings the numbers of one token");

__device__ __forceinline__ void store_state(elem *state, accumulator first, accumulator second) {
#if MATH == 0
    *reinterpret_cast<unsigned *>(state) = pack_bfloat16(first, second);
#else
    *reinterpret_cast<float2 *>(state) = make_float2(first, second);
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) state_update(
    const elem *givenX, const elem *scaledX, const int *__restrict__ isScaled, const elem *__restrict__ v,
    const float *__restrict__ extra, const float *__restrict__ statistics, const float2 *__restrict__ gates,
    const unsigned *__restrict__ blocks, const float *__restrict__ coefficients, const int *__restrict__ keyExponents,
    const int *__restrict__ initialExponents, const int4 *__restrict__ sequences, const int4 *__restrict__ chunks,
    const float *__restrict__ initial, elem *__restrict__ states, float *__restrict__ last, int tokens, int keyHeads, int group,
    int paddedValueWidth, int blockCount
) {
    extern __shared__ __align__(128) unsigned char memory[];
    elem *stages = reinterpret_cast<elem *>(memory);
    float *tokenFactors = reinterpret_cast<float *>(stages + STAGES * STAGE);
    float *tokenExtras = tokenFactors + STAGES * TOKENS;

    const elem *x = choose_rows(givenX, scaledX, isScaled, REVERSE ? 0 : 1);
    const int valueTiles = paddedValueWidth / VALUE_TILE;
    const int head = blockIdx.y / valueTiles, column = blockIdx.y % valueTiles * VALUE_TILE;
    const bool hasExtra = column == 0;
    const int sequence = blockIdx.z;
    const int4 span = sequences[sequence];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int heads = keyHeads * group;
    const int stateStride = paddedValueWidth + 8, featureCount = blockCount * 16;
    const int firstBlock = (blockIdx.x * WARPS + warp) * ROW_TILES;
    const size_t sequenceState = (static_cast<size_t>(sequence) * keyHeads + head) * featureCount * stateStride;

    unsigned block[ROW_TILES];
    float coefficient[ROW_TILES][2];
    accumulator state[ROW_TILES][VALUE_TILE / 8 + 1][4] = {};
#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m) {
        const bool isUsed = firstBlock + m < blockCount;
        block[m] = isUsed ? blocks[firstBlock + m] : 0;
        const int feature = (firstBlock + m) * 16 + g;
        coefficient[m][0] = isUsed ? coefficients[feature] : 0;
        coefficient[m][1] = isUsed ? coefficients[feature + 8] : 0;
        if (initial == nullptr || !isUsed) continue;
#pragma unroll
        for (int n = 0; n <= VALUE_TILE / 8; ++n)
#pragma unroll
            for (int c = 0; c < 4; ++c) {
                if (n == VALUE_TILE / 8 && !hasExtra) continue;
                const int place = (n == VALUE_TILE / 8 ? paddedValueWidth : column + n * 8) + 2 * t + c % 2;
                state[m][n][c] = initial[sequenceState + static_cast<size_t>(feature + c / 2 * 8) * stateStride + place];
            }
    }

    // A change of units, or a decay.
    auto scaleState = [&](float factor) {
        if (factor == 1) return;
#pragma unroll
        for (int m = 0; m < ROW_TILES; ++m)
#pragma unroll
            for (int n = 0; n <= VALUE_TILE / 8; ++n)
#pragma unroll
                for (int c = 0; c < 4; ++c) state[m][n][c] *= factor;
    };
    // 2^(p(E_before − E_n)).
    auto carry = [&](int n) {
        const int exponent = keyExponents[static_cast<size_t>(span.x + n) * keyHeads + head];
        const int before = n > 0 ? keyExponents[static_cast<size_t>(span.x + n - 1) * keyHeads + head]
            : initialExponents != nullptr ? initialExponents[static_cast<size_t>(sequence) * keyHeads + head]
                                          : exponent;
        return ldexpf(1, max(-160, min(127, DEGREE * (before - exponent))));
    };

    for (int step = 0; step < span.y; ++step) {
        const int n = REVERSE ? span.y - 1 - step : step;
        const size_t chunk = span.x + n;
        const int firstToken = chunks[chunk].x, count = chunks[chunk].y;
        if (!REVERSE) scaleState(carry(n));
        if (step > 0 || initial != nullptr) {
            elem *prefix = states + (chunk * keyHeads + head) * featureCount * stateStride;
#pragma unroll
            for (int m = 0; m < ROW_TILES; ++m) {
                if (firstBlock + m >= blockCount) continue;
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    elem *row = prefix + static_cast<size_t>((firstBlock + m) * 16 + half * 8 + g) * stateStride + 2 * t;
                    const float factor = coefficient[m][half];
#pragma unroll
                    for (int i = 0; i < VALUE_TILE / 8; ++i)
                        store_state(row + column + i * 8, state[m][i][2 * half] * factor, state[m][i][2 * half + 1] * factor);
                    if (hasExtra)
                        store_state(
                            row + paddedValueWidth, state[m][VALUE_TILE / 8][2 * half] * factor,
                            state[m][VALUE_TILE / 8][2 * half + 1] * factor);
                }
            }
        }
        // Nothing reads what the last chunk of the walk would leave.
        if (step + 1 == span.y && last == nullptr) break;

#if GATED
        const float2 *headGates = gates + static_cast<size_t>(head) * tokens + firstToken;
        const float2 endGate = headGates[count - 1];
        scaleState(decay_from_start(endGate));
#endif
        const int tilesPerHead = (count + TOKENS - 1) / TOKENS, tileCount = tilesPerHead * group;
        // Numbers of one token a thread, on their way while the tile before them is multiplied.
#if GATED
        float2 fetchedGate;
#endif
        float fetchedExtra = 1, fetchedStatistic = 1;
        auto fetch = [&](int index) {
            if (index >= tileCount || threadIdx.x >= TOKENS) return;
            const int token = min(index % tilesPerHead * TOKENS + static_cast<int>(threadIdx.x), count - 1);
#if GATED
            fetchedGate = headGates[token];
#endif
#if REVERSE
            const size_t row = static_cast<size_t>(firstToken + token) * heads + head * group + index / tilesPerHead;
            fetchedExtra = extra[row];
            fetchedStatistic = statistics[row];
#endif
        };
        auto copyTokens = [&](int index, int stage) {
            const int offset = index % tilesPerHead * TOKENS, member = head * group + index / tilesPerHead;
            const size_t row = static_cast<size_t>(firstToken + offset) * heads + member;
            elem *shared = stages + stage * STAGE;
            copy_tile<TOKENS, WIDTH, THREADS>(
                shared, WIDTH_STRIDE, x + row * WIDTH, static_cast<size_t>(heads) * WIDTH, count - offset);
            copy_tile<TOKENS, VALUE_TILE, THREADS>(
                shared + TOKENS * WIDTH_STRIDE, VALUE_STRIDE, v + row * paddedValueWidth + column,
                static_cast<size_t>(heads) * paddedValueWidth, count - offset);
            commit_copies();
            if (threadIdx.x < TOKENS) {
                float factor = NORMALIZED ? fabsf(fetchedStatistic) : fetchedStatistic;
#if GATED
                factor *= REVERSE ? decay_from_start(fetchedGate) : decay(endGate, fetchedGate);
#endif
                tokenFactors[stage * TOKENS + threadIdx.x] = factor;
                tokenExtras[stage * TOKENS + threadIdx.x] = fetchedExtra;
            }
            fetch(index + 1);
        };
        fetch(0);
        copyTokens(0, 0);
        for (int index = 0, stage = 0; index < tileCount; ++index, stage ^= STAGES - 1) {
            if (STAGES == 2 && index + 1 < tileCount) {
                copyTokens(index + 1, stage ^ 1);
                wait_copies<1>();
            } else {
                wait_copies<0>();
            }
            __syncthreads();
            const elem *vectors = stages + stage * STAGE, *values = vectors + TOKENS * WIDTH_STRIDE;
#pragma unroll 1
            for (int depth = 0; depth < TOKENS; depth += 16) {
                FragmentA phi[ROW_TILES];
#pragma unroll
                for (int m = 0; m < ROW_TILES; ++m) {
                    FragmentA factors;
                    load_a_transposed(
                        factors, vectors + depth * WIDTH_STRIDE + last_index(block[m]) * 16, WIDTH_STRIDE);
                    operand prefix[4];
#pragma unroll
                    for (int i = 0; i < 4; ++i) {
                        const int token = depth + i / 2 * 8 + 2 * t + i % 2;
                        prefix[i] = prefix_product(vectors + token * WIDTH_STRIDE, block[m]);
#if GATED || REVERSE
                        prefix[i] *= tokenFactors[stage * TOKENS + token];
#endif
                    }
                    expand_columns(phi[m], factors, prefix);
                }
#pragma unroll
                for (int i = 0; i < VALUE_TILE / 16; ++i) {
                    FragmentB b[2];
                    load_b_transposed(b, values + depth * VALUE_STRIDE + i * 16, VALUE_STRIDE);
#pragma unroll
                    for (int m = 0; m < ROW_TILES; ++m) {
                        multiply(state[m][2 * i], phi[m], b[0]);
                        multiply(state[m][2 * i + 1], phi[m], b[1]);
                    }
                }
                if (hasExtra) {
                    FragmentB b;
                    make_column_b(b, tokenExtras + stage * TOKENS + depth);
#pragma unroll
                    for (int m = 0; m < ROW_TILES; ++m) multiply(state[m][VALUE_TILE / 8], phi[m], b);
                }
            }
            __syncthreads();
            if (STAGES == 1 && index + 1 < tileCount) copyTokens(index + 1, 0);
        }
        if (REVERSE) scaleState(carry(n));
    }

    if (last == nullptr) return;
#pragma unroll
    for (int m = 0; m < ROW_TILES; ++m) {
        if (firstBlock + m >= blockCount) continue;
#pragma unroll
        for (int n = 0; n <= VALUE_TILE / 8; ++n)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                if (n == VALUE_TILE / 8 && !hasExtra) continue;
                const int place = (n == VALUE_TILE / 8 ? paddedValueWidth : column + n * 8) + 2 * t;
                *reinterpret_cast<float2 *>(
                    last + sequenceState + static_cast<size_t>((firstBlock + m) * 16 + half * 8 + g) * stateStride + place) =
                    make_float2(static_cast<float>(state[m][n][2 * half]), static_cast<float>(state[m][n][2 * half + 1]));
            }
    }
}
