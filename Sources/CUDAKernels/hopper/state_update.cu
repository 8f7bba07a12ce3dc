// state/update.cu for Hopper: the same states, from products of warpgroups.
//
// A warpgroup holds TILES tiles of 64 features; φ of the tokens is made in registers, as the left operand. One more warpgroup brings the
// vectors and, multiplied by each token's factor (the decay to the end of the chunk; in reverse r_i and the decay from its start), the values.
//
// Grid: features by 64 · TILES · GROUPS, key heads, sequences. Shared memory: STAGES of x [TOKENS, WIDTH] and v [TOKENS, VALUE_WIDTH + 8] in
// panels; barriers.
#include "common/decay.cuh"
#include "common/expansion.cuh"
#include "common/exponents.cuh"
#include "hopper/panels.cuh"

constexpr int THREADS = 128 * (GROUPS + 1);
constexpr int COLUMNS = VALUE_WIDTH + 8;
constexpr int VECTOR_TILE = panel_numbers(TOKENS, WIDTH);
constexpr int STAGE = VECTOR_TILE + panel_numbers(TOKENS, COLUMNS);
constexpr int PANELS = VALUE_WIDTH / 8;
// Tokens of a tile whose values one thread brings, eight numbers of each.
constexpr int ROWS = TOKENS * PANELS / 128;
// Tiles on their way to a thread at once.
constexpr int DEPTH = VALUE_WIDTH > 64 || GROUPS == 3 ? 1 : 2;
// Multiples of 8 that share out a multiprocessor's 65,536.
constexpr int PRODUCER_REGISTERS = GROUPS == 3 ? 80 : GROUPS == 2 ? 120 : 240;
constexpr int CONSUMER_REGISTERS = GROUPS == 3 ? 144 : GROUPS == 2 ? 192 : 240;
static_assert(MATH == 0 && INPUT == 2, "rows in bfloat16");
static_assert(DEGREE > 0, "exponential attention has no state");
static_assert(GROUPS >= 1 && GROUPS <= 3, "registers are shared out for one to three");
static_assert(TOKENS == 64, "two halves of 32");
static_assert(TILES == 1 || TILES == 2, "blocks that share their last factors come in eights");

// What a thread brings of one tile, on its way while others are multiplied.
struct Fetched {
    uint4 values[ROWS];
#if GATED
    float2 gates[ROWS];
#endif
#if REVERSE
    float statistics[ROWS], extras[ROWS];
#endif
};

__device__ __forceinline__ unsigned scale_pair(unsigned pair, float factor) {
    return pack_bfloat16(low_bfloat16(pair) * factor, high_bfloat16(pair) * factor);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) state_update(
    const elem *givenX, const elem *scaledX, const int *__restrict__ isScaled, const elem *__restrict__ v,
    const float *__restrict__ extra, const float *__restrict__ statistics, const float2 *__restrict__ gates,
    const unsigned *__restrict__ blocks, const float *__restrict__ coefficients, const int *__restrict__ keyExponents,
    const int *__restrict__ initialExponents, const int4 *__restrict__ sequences, const int4 *__restrict__ chunks,
    const float *__restrict__ initial, elem *__restrict__ states, float *__restrict__ last, int tokens, int keyHeads, int group,
    int paddedValueWidth, int blockCount
) {
    extern __shared__ __align__(128) unsigned char memory[];
    elem *stages = reinterpret_cast<elem *>(memory);
    // A thread's copies and its stores fill a stage, an arrival each.
    Ring<STAGES, GROUPS, 2> ring(reinterpret_cast<unsigned long long *>(stages + STAGES * STAGE));

    const int index = thread_index(), thread = index % 128, consumer = index / 128 - 1;
    const int head = blockIdx.y, sequence = blockIdx.z;
    const int heads = keyHeads * group;
    const int4 span = sequences[sequence];
    if (index == 0) ring.initialize();
    fence_products();
    __syncthreads();

    auto chunkOf = [&](int step) { return span.x + (REVERSE ? span.y - 1 - step : step); };
    // Nothing reads what the last chunk of the walk would leave.
    const int steps = last == nullptr ? span.y - 1 : span.y;

    if (consumer < 0) {
        lower_registers<PRODUCER_REGISTERS>();
        const elem *x = choose_rows(givenX, scaledX, isScaled, REVERSE ? 0 : 1);
        const int panel = thread % PANELS, firstRow = thread / PANELS;
        RingPosition<STAGES> position;
        for (int step = 0; step < steps; ++step) {
            const int4 chunk = chunks[chunkOf(step)];
            const int count = chunk.y, tilesPerHead = (count + TOKENS - 1) / TOKENS, tileCount = tilesPerHead * group;
#if GATED
            const float2 *headGates = gates + static_cast<size_t>(head) * tokens + chunk.x;
#if !REVERSE
            const float2 endGate = headGates[count - 1];
#endif
#endif
            auto fetch = [&](Fetched &fetched, int tile) {
                if (tile >= tileCount) return;
                const int offset = tile % tilesPerHead * TOKENS, member = head * group + tile / tilesPerHead;
#pragma unroll
                for (int n = 0; n < ROWS; ++n) {
                    const int token = min(offset + firstRow + n * (128 / PANELS), count - 1);
                    const size_t row = static_cast<size_t>(chunk.x + token) * heads + member;
                    fetched.values[n] = *reinterpret_cast<const uint4 *>(v + row * VALUE_WIDTH + 8 * panel);
#if GATED
                    fetched.gates[n] = headGates[token];
#endif
#if REVERSE
                    fetched.statistics[n] = statistics[row];
                    fetched.extras[n] = extra[row];
#endif
                }
            };
            auto put = [&](const Fetched &fetched, int tile) {
                const int offset = tile % tilesPerHead * TOKENS, member = head * group + tile / tilesPerHead;
                elem *vectors = stages + ring.begin(position) * STAGE, *values = vectors + VECTOR_TILE;
                copy_panels<TOKENS, WIDTH / 8>(
                    vectors, x + (static_cast<size_t>(chunk.x + offset) * heads + member) * WIDTH, static_cast<size_t>(heads) * WIDTH,
                    count - offset, thread);
#pragma unroll
                for (int n = 0; n < ROWS; ++n) {
                    const int row = firstRow + n * (128 / PANELS);
#if REVERSE
                    float factor = NORMALIZED ? fabsf(fetched.statistics[n]) : fetched.statistics[n];
                    const float more = fetched.extras[n];
#if GATED
                    factor *= decay_from_start(fetched.gates[n]);
#endif
#else
                    const float more = 1;
#if GATED
                    float factor = decay(endGate, fetched.gates[n]);
#else
                    float factor = 1;
#endif
#endif
                    // x is zero there, but zero times infinity is not.
                    if (offset + row >= count) factor = 0;
                    const uint4 given = fetched.values[n];
                    *reinterpret_cast<uint4 *>(values + panel_place(row, 8 * panel, TOKENS)) = make_uint4(
                        scale_pair(given.x, factor), scale_pair(given.y, factor), scale_pair(given.z, factor), scale_pair(given.w, factor));
                    if (panel == 0)
                        *reinterpret_cast<uint4 *>(values + panel_place(row, VALUE_WIDTH, TOKENS)) =
                            make_uint4(pack_bfloat16(more * factor, 0), 0, 0, 0);
                }
                fence_products();
                barrier_arrive(ring.full + position.stage);
                ring.end(position);
            };
            Fetched fetched[DEPTH];
#pragma unroll
            for (int n = 0; n < DEPTH; ++n) fetch(fetched[n], n);
            for (int tile = 0; tile < tileCount; tile += DEPTH) {
#pragma unroll
                for (int n = 0; n < DEPTH; ++n) {
                    if (tile + n >= tileCount) continue;
                    put(fetched[n], tile + n);
                    fetch(fetched[n], tile + n + DEPTH);
                }
            }
        }
        finish_copies();
        return;
    }

    raise_registers<CONSUMER_REGISTERS>();
    const int warp = thread / 32, lane = thread % 32, g = lane / 4, t = lane % 4;
    const int stateStride = VALUE_WIDTH + 8, featureCount = blockCount * 16;
    const int firstBlock = ((blockIdx.x * GROUPS + consumer) * 4 + warp) * TILES;
    const size_t sequenceState = (static_cast<size_t>(sequence) * keyHeads + head) * featureCount * stateStride;

    unsigned block[TILES];
    float coefficient[TILES][2];
    float state[TILES][COLUMNS / 2] = {};
    // Where the lane's numbers of block m stand in a state.
    auto place = [&](int m, int half) { return static_cast<size_t>((firstBlock + m) * 16 + half * 8 + g) * stateStride + 2 * t; };
#pragma unroll
    for (int m = 0; m < TILES; ++m) {
        const bool isUsed = firstBlock + m < blockCount;
        block[m] = isUsed ? blocks[firstBlock + m] : 0;
        const int feature = (firstBlock + m) * 16 + g;
        coefficient[m][0] = isUsed ? coefficients[feature] : 0;
        coefficient[m][1] = isUsed ? coefficients[feature + 8] : 0;
        if (initial == nullptr || !isUsed) continue;
#pragma unroll
        for (int n = 0; n < COLUMNS / 2; ++n) state[m][n] = initial[sequenceState + place(m, n / 2 % 2) + n / 4 * 8 + n % 2];
    }

    // 2^(p(E_before − E_n)).
    auto carry = [&](int step) {
        const int n = REVERSE ? span.y - 1 - step : step;
        const int exponent = keyExponents[static_cast<size_t>(span.x + n) * keyHeads + head];
        const int before = n > 0 ? keyExponents[static_cast<size_t>(span.x + n - 1) * keyHeads + head]
            : initialExponents != nullptr ? initialExponents[static_cast<size_t>(sequence) * keyHeads + head]
                                          : exponent;
        return ldexpf(1, max(-160, min(127, DEGREE * (before - exponent))));
    };
    auto scaleState = [&](float factor) {
#pragma unroll
        for (int m = 0; m < TILES; ++m)
#pragma unroll
            for (int n = 0; n < COLUMNS / 2; ++n) state[m][n] *= factor;
    };

    // φ of 32 tokens, two operands of 16 for every tile.
    auto expand = [&](unsigned (&phi)[2 * TILES][4], const elem *vectors) {
        const elem *loaded = vectors + panel_place(lane % 8 + lane / 16 * 8, lane / 8 % 2 * 8, TOKENS);
#pragma unroll
        for (int k = 0; k < 2; ++k) {
#if DEGREE > 1
            const elem *own = vectors + 8 * (16 * k + 2 * t);
#endif
            FragmentA factors;
            if (DEGREE <= 2) load_matrices_transposed(factors.r, loaded + 8 * 16 * k + 16 * panel_pitch(TOKENS) * last_index(block[0]));
#if DEGREE == 1
#pragma unroll
            for (int m = 0; m < TILES; ++m) {
                if (m > 0) load_matrices_transposed(factors.r, loaded + 8 * 16 * k + 16 * panel_pitch(TOKENS) * last_index(block[m]));
#pragma unroll
                for (int n = 0; n < 4; ++n) phi[k * TILES + m][n] = factors.r[n];
            }
#elif DEGREE == 2
            // The blocks share their last factors, and their prefixes are neighbours.
            const elem *prefix = own + panel_place(0, prefix_index(block[0], 0), TOKENS);
            unsigned prefixes[4];
#pragma unroll
            for (int n = 0; n < 4; ++n) {
                const elem *one = prefix + 8 * (n / 2 * 8 + n % 2);
                prefixes[n] = TILES == 2 ? *reinterpret_cast<const unsigned *>(one) : *one;
            }
#pragma unroll
            for (int m = 0; m < TILES; ++m)
#pragma unroll
                for (int n = 0; n < 4; ++n)
                    phi[k * TILES + m][n] = multiply_bfloat16(
                        factors.r[n], __byte_perm(prefixes[n / 2 * 2], prefixes[n / 2 * 2 + 1], m == 0 ? 0x5410 : 0x7632));
#else
#pragma unroll
            for (int m = 0; m < TILES; ++m) {
                load_matrices_transposed(factors.r, loaded + 8 * 16 * k + 16 * panel_pitch(TOKENS) * last_index(block[m]));
                float prefix[4] = {1, 1, 1, 1};
#pragma unroll
                for (int i = 0; i < DEGREE - 1; ++i) {
                    const elem *column = own + panel_place(0, prefix_index(block[m], i), TOKENS);
#pragma unroll
                    for (int n = 0; n < 4; ++n) prefix[n] *= bfloat16_to_float(column[8 * (n / 2 * 8 + n % 2)]);
                }
                FragmentA product;
                expand_columns(product, factors, prefix);
#pragma unroll
                for (int n = 0; n < 4; ++n) phi[k * TILES + m][n] = product.r[n];
            }
#endif
        }
    };
    auto multiply = [&](const unsigned (&phi)[2 * TILES][4], const elem *values) {
        const unsigned long long matrix = panel_descriptor(values, panel_pitch(TOKENS), true);
        products_begin();
#pragma unroll
        for (int k = 0; k < 2; ++k)
#pragma unroll
            for (int m = 0; m < TILES; ++m)
                multiply_group<true>(state[m], phi[k * TILES + m], panel_advance(matrix, 8 * 16 * k), true);
        products_commit();
    };

    RingPosition<STAGES> position;
    for (int step = 0; step < span.y; ++step) {
        const size_t chunk = chunkOf(step);
        if (!REVERSE) scaleState(carry(step));
        if (step > 0 || initial != nullptr) {
            elem *prefix = states + (chunk * keyHeads + head) * featureCount * stateStride;
#pragma unroll
            for (int m = 0; m < TILES; ++m) {
                if (firstBlock + m >= blockCount) continue;
#pragma unroll
                for (int n = 0; n < COLUMNS / 2; n += 2)
                    *reinterpret_cast<unsigned *>(prefix + place(m, n / 2 % 2) + n / 4 * 8) =
                        pack_bfloat16(state[m][n] * coefficient[m][n / 2 % 2], state[m][n + 1] * coefficient[m][n / 2 % 2]);
            }
        }
        if (step == steps) break;
        const int firstToken = chunks[chunk].x, count = chunks[chunk].y;
#if GATED
        scaleState(decay_from_start(gates[static_cast<size_t>(head) * tokens + firstToken + count - 1]));
#endif
        const int tileCount = (count + TOKENS - 1) / TOKENS * group;
        // The features of one half of a tile are made while the products of the other are under way.
        for (int tile = 0; tile < tileCount; ++tile) {
            unsigned even[2 * TILES][4], odd[2 * TILES][4];
            const elem *vectors = stages + position.stage * STAGE;
            ring.wait_full(position);
            expand(even, vectors);
            multiply(even, vectors + VECTOR_TILE);
            products_wait<1>();
            if (tile > 0) ring.release(position.before(), lane);
            expand(odd, vectors + 8 * 32);
            multiply(odd, vectors + VECTOR_TILE + 8 * 32);
            products_wait<1>();
            position.advance();
        }
        products_wait<0>();
        ring.release(position.before(), lane);
#pragma unroll
        for (int m = 0; m < TILES; ++m) products_use(state[m]);
        if (REVERSE) scaleState(carry(step));
    }

    if (last == nullptr) return;
#pragma unroll
    for (int m = 0; m < TILES; ++m) {
        if (firstBlock + m >= blockCount) continue;
#pragma unroll
        for (int n = 0; n < COLUMNS / 2; ++n) last[sequenceState + place(m, n / 2 % 2) + n / 4 * 8 + n % 2] = state[m][n];
    }
}
