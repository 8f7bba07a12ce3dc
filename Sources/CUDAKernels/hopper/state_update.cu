// state/update.cu for Hopper: the same states, from products of warpgroups.
//
// A warpgroup holds TILES tiles of 64 features; φ of the tokens is made in registers, as the left operand. One more warpgroup brings vectors
// and values to a ring of stages, AHEAD of those whose values it multiplies by their tokens' factors, in place: the decay to the end of the
// chunk; in reverse r_i and the decay from its start.
//
// Grid: features by 64 · TILES · GROUPS, key heads, sequences. Shared memory: STAGES of x [TOKENS, WIDTH] and v [TOKENS, VALUE_WIDTH + 8] in
// panels; STAGES of what belongs to a tile's tokens and to its chunk (Numbers); barriers.
#include "common/decay.cuh"
#include "common/expansion.cuh"
#include "common/exponents.cuh"
#include "hopper/panels.cuh"

constexpr int THREADS = 128 * (GROUPS + 1);
constexpr int COLUMNS = VALUE_WIDTH + 8;
constexpr int VECTOR_TILE = panel_numbers(TOKENS, WIDTH);
constexpr int STAGE = VECTOR_TILE + panel_numbers(TOKENS, COLUMNS);
constexpr int PANELS = VALUE_WIDTH / 8;
constexpr int AHEAD = STAGES / 2;
constexpr bool SCALED = GATED || REVERSE;
// Multiples of 8 that share out a multiprocessor's 65,536.
constexpr int PRODUCER_REGISTERS = GROUPS == 3 ? 56 : GROUPS == 2 ? 88 : 152;
constexpr int CONSUMER_REGISTERS = GROUPS == 3 ? 152 : GROUPS == 2 ? 208 : 240;
static_assert(MATH == 0 && INPUT == 2, "rows in bfloat16");
static_assert(DEGREE > 0, "exponential attention has no state");
static_assert(GROUPS >= 1 && GROUPS <= 3, "registers are shared out for one to three");
static_assert(TOKENS == 64, "two halves of 32");
static_assert(TILES == 1 || TILES == 2, "blocks that share their last factors come in eights");

// What comes with a stage.
struct Numbers {
    // Of the tokens, and of the last one of the chunk.
    float2 gates[TOKENS + 1];
    float statistics[TOKENS], extras[TOKENS];
    // Of the chunk: its first token and their number, its exponent and that of the chunk before it.
    int2 span;
    int exponent, before;
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
    Numbers *numbers = reinterpret_cast<Numbers *>(stages + STAGES * STAGE);
    Ring<STAGES, GROUPS> ring(reinterpret_cast<unsigned long long *>(numbers + STAGES));

    const int index = thread_index(), thread = index % 128, consumer = index / 128 - 1;
    const int head = blockIdx.y, sequence = blockIdx.z;
    const int heads = keyHeads * group;
    const int4 span = sequences[sequence];
    if (index == 0) ring.initialize();
    if (!SCALED) {
        // The column of ones.
        for (int n = index; n < STAGES * TOKENS; n += THREADS)
            *reinterpret_cast<uint4 *>(stages + n / TOKENS * STAGE + VECTOR_TILE + panel_place(n % TOKENS, VALUE_WIDTH, TOKENS)) =
                make_uint4(0x3f80, 0, 0, 0);
    }
    fence_products();
    __syncthreads();

    auto chunkOf = [&](int step) { return span.x + (REVERSE ? span.y - 1 - step : step); };
    // The tiles of a chunk of so many tokens. Nothing reads what the last chunk of the walk would leave: it is a stage without tokens.
    auto tilesOf = [&](int step, int count) {
        return step + 1 == span.y && last == nullptr ? 0 : (count + TOKENS - 1) / TOKENS * group;
    };

    if (consumer < 0) {
        lower_registers<PRODUCER_REGISTERS>();
        const elem *x = choose_rows(givenX, scaledX, isScaled, REVERSE ? 0 : 1);
        // Where the copies are; the chunk after theirs is known before it is needed.
        int step = 0, tile = 0;
        // Stages copied and not yet filled.
        int open = 0;
        int4 chunk = chunks[chunkOf(0)], next = chunks[chunkOf(min(1, span.y - 1))];
        RingPosition<STAGES> copied, filled;
        auto copy = [&] {
            if (step < span.y) {
                const int stage = ring.begin(copied), count = chunk.y;
                Numbers &own = numbers[stage];
                const int n = chunkOf(step);
                if (thread == 96) copy_few<8>(&own.span, chunks + n, true);
                if (thread == 97) copy_few<4>(&own.exponent, keyExponents + static_cast<size_t>(n) * keyHeads + head, true);
                if (thread == 98) {
                    const int *before = n > span.x ? keyExponents + static_cast<size_t>(n - 1) * keyHeads
                        : initialExponents != nullptr ? initialExponents + static_cast<size_t>(sequence) * keyHeads
                                                      : keyExponents + static_cast<size_t>(n) * keyHeads;
                    copy_few<4>(&own.before, before + head, true);
                }
#if GATED
                const float2 *headGates = gates + static_cast<size_t>(head) * tokens + chunk.x;
                if (thread == 99) copy_few<8>(&own.gates[TOKENS], headGates + count - 1, true);
#endif
                const int tilesPerHead = (count + TOKENS - 1) / TOKENS, tileCount = tilesOf(step, count);
                if (tileCount > 0) {
                    const int offset = tile % tilesPerHead * TOKENS, member = head * group + tile / tilesPerHead;
                    const size_t row = static_cast<size_t>(chunk.x + offset) * heads + member;
                    elem *vectors = stages + stage * STAGE;
                    copy_panels<TOKENS, WIDTH / 8>(
                        vectors, x + row * WIDTH, static_cast<size_t>(heads) * WIDTH, count - offset, thread);
                    copy_panels<TOKENS, PANELS>(
                        vectors + VECTOR_TILE, v + row * VALUE_WIDTH, static_cast<size_t>(heads) * VALUE_WIDTH, count - offset, thread);
                    if (thread < TOKENS) {
#if GATED
                        copy_few<8>(own.gates + thread, headGates + min(offset + thread, count - 1), true);
#endif
#if REVERSE
                        const bool isValid = offset + thread < count;
                        const size_t place = row + (isValid ? static_cast<size_t>(thread) * heads : 0);
                        copy_few<4>(own.statistics + thread, statistics + place, isValid);
                        copy_few<4>(own.extras + thread, extra + place, isValid);
#endif
                    }
                }
                copied.advance();
                ++open;
                if (++tile >= tileCount) {
                    tile = 0, ++step;
                    chunk = next;
                    next = chunks[chunkOf(min(step + 1, span.y - 1))];
                }
            }
            commit_copies();
        };
        // A thread multiplies what it has copied itself; the numbers of the tokens come from others.
        auto fill = [&] {
            wait_copies<AHEAD>();
#if GATED || REVERSE
            named_barrier<128>(1);
            const Numbers &own = numbers[filled.stage];
            elem *values = stages + filled.stage * STAGE + VECTOR_TILE;
            const int panel = thread % PANELS, firstRow = thread / PANELS;
#pragma unroll
            for (int first = 0; first < TOKENS; first += 128 / PANELS) {
                const int row = first + firstRow;
                float factor = 1, more = 1;
#if REVERSE
                factor = NORMALIZED ? fabsf(own.statistics[row]) : own.statistics[row];
                more = own.extras[row];
#endif
#if GATED
                factor *= REVERSE ? decay_from_start(own.gates[row]) : decay(own.gates[TOKENS], own.gates[row]);
#endif
                uint4 *eight = reinterpret_cast<uint4 *>(values + panel_place(row, 8 * panel, TOKENS));
                const uint4 given = *eight;
                *eight = make_uint4(
                    scale_pair(given.x, factor), scale_pair(given.y, factor), scale_pair(given.z, factor), scale_pair(given.w, factor));
                if (panel == 0)
                    *reinterpret_cast<uint4 *>(values + panel_place(row, VALUE_WIDTH, TOKENS)) =
                        make_uint4(pack_bfloat16(more * factor, 0), 0, 0, 0);
            }
            fence_products();
#endif
            barrier_arrive(ring.full + filled.stage);
            filled.advance();
            --open;
        };
        for (int n = 0; n < AHEAD; ++n) copy();
        while (true) {
            copy();
            if (open == 0) break;
            fill();
        }
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
    auto carry = [&](const Numbers &own) { return ldexpf(1, max(-160, min(127, DEGREE * (own.before - own.exponent)))); };
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
    float reverseCarry = 1;
    for (int step = 0; step < span.y; ++step) {
        ring.wait_full(position);
        const Numbers &own = numbers[position.stage];
        const int tileCount = tilesOf(step, own.span.y);
#if GATED
        const float chunkDecay = decay_from_start(own.gates[TOKENS]);
#else
        const float chunkDecay = 1;
#endif
        scaleState(REVERSE ? reverseCarry : carry(own));
        reverseCarry = carry(own);
        if (step > 0 || initial != nullptr) {
            elem *prefix = states + (static_cast<size_t>(chunkOf(step)) * keyHeads + head) * featureCount * stateStride;
#pragma unroll
            for (int m = 0; m < TILES; ++m) {
                if (firstBlock + m >= blockCount) continue;
#pragma unroll
                for (int n = 0; n < COLUMNS / 2; n += 2)
                    *reinterpret_cast<unsigned *>(prefix + place(m, n / 2 % 2) + n / 4 * 8) =
                        pack_bfloat16(state[m][n] * coefficient[m][n / 2 % 2], state[m][n + 1] * coefficient[m][n / 2 % 2]);
            }
        }
        scaleState(chunkDecay);
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
        if (tileCount == 0) position.advance();
        ring.release(position.before(), lane);
#pragma unroll
        for (int m = 0; m < TILES; ++m) products_use(state[m]);
    }
    if (REVERSE) scaleState(reverseCarry);

    if (last == nullptr) return;
#pragma unroll
    for (int m = 0; m < TILES; ++m) {
        if (firstBlock + m >= blockCount) continue;
#pragma unroll
        for (int n = 0; n < COLUMNS / 2; ++n) last[sequenceState + place(m, n / 2 % 2) + n / 4 * 8 + n % 2] = state[m][n];
    }
}
