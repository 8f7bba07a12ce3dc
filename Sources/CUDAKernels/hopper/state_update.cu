// state/update.cu for Hopper: the same states, from products of warpgroups.
//
// A warpgroup holds TILES tiles of 64 features; φ of the tokens is made in registers, as the left operand. One more warpgroup brings vectors
// and values to a ring of stages; prepare/values.cu has multiplied the values by their tokens' factors.
//
// Grid: features by 64 · TILES · GROUPS, key heads, sequences. Shared memory: STAGES of x [TOKENS, WIDTH] and v [TOKENS, VALUE_WIDTH + 8] in
// panels; STAGES of what belongs to a chunk; barriers.
#include "common/decay.cuh"
#include "common/expansion.cuh"
#include "common/exponents.cuh"
#include "hopper/panels.cuh"

constexpr int THREADS = 128 * (GROUPS + 1);
constexpr int COLUMNS = VALUE_WIDTH + 8;
constexpr int VECTOR_TILE = panel_numbers(TOKENS, WIDTH);
constexpr int STAGE = VECTOR_TILE + panel_numbers(TOKENS, COLUMNS);
// Multiples of 8 that share out a multiprocessor's 65,536.
constexpr int PRODUCER_REGISTERS = GROUPS == 2 ? 88 : 240;
constexpr int CONSUMER_REGISTERS = GROUPS == 2 ? 208 : 240;
static_assert(share_registers(GROUPS, PRODUCER_REGISTERS, CONSUMER_REGISTERS), "registers for all");
static_assert(MATH == 0 && INPUT == 2, "rows in bfloat16");
static_assert(DEGREE > 0, "exponential attention has no state");
static_assert(GROUPS == 1 || GROUPS == 2, "registers are shared out for one or two");
static_assert(TOKENS == 64, "two halves of 32");
static_assert(TILES == 1 || TILES == 2, "blocks that share their last factors come in eights");

// What comes with the first stage of a chunk: the log-gates of its last token, its first token and their number, its exponent and that of
// the chunk before it.
struct Chunk {
    float2 end;
    int2 span;
    int exponent, before;
};

extern "C" __global__ void __launch_bounds__(THREADS, 1) state_update(
    const elem *givenX, const elem *scaledX, const int *__restrict__ isScaled, const elem *__restrict__ values,
    const float2 *__restrict__ gates, const unsigned *__restrict__ blocks, const float *__restrict__ coefficients,
    const int *__restrict__ keyExponents, const int *__restrict__ initialExponents, const int4 *__restrict__ sequences,
    const int4 *__restrict__ chunks, const float *__restrict__ initial, elem *__restrict__ states, float *__restrict__ last, int tokens,
    int keyHeads, int group, int blockCount
) {
    extern __shared__ __align__(1024) unsigned char memory[];
    elem *stages = reinterpret_cast<elem *>(memory);
    Chunk *stageChunks = reinterpret_cast<Chunk *>(stages + STAGES * STAGE);
    Ring<STAGES, GROUPS> ring(reinterpret_cast<unsigned long long *>(stageChunks + STAGES));

    const int index = thread_index(), thread = index % 128, consumer = index / 128 - 1;
    const int head = blockIdx.y, sequence = blockIdx.z;
    const int4 span = sequences[sequence];
    if (index == 0) ring.initialize();
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
        const int heads = keyHeads * group;
        const PanelCopy<TOKENS, WIDTH / 8> copyVectors(heads * WIDTH, thread);
        const PanelCopy<TOKENS, COLUMNS / 8> copyValues(heads * COLUMNS, thread);
        RingPosition<STAGES> position;
        int4 next = chunks[chunkOf(0)];
        for (int step = 0; step < span.y; ++step) {
            const int n = chunkOf(step), first = next.x, count = next.y, tileCount = tilesOf(step, count);
            next = chunks[chunkOf(min(step + 1, span.y - 1))];
            ring.begin(position);
            if (thread == 0) {
                Chunk &chunk = stageChunks[position.stage];
                const int *exponent = keyExponents + static_cast<size_t>(n) * keyHeads + head;
                const int *before = n > span.x ? exponent - keyHeads
                    : initialExponents != nullptr ? initialExponents + static_cast<size_t>(sequence) * keyHeads + head
                                                  : exponent;
#if GATED
                copy_few<8>(&chunk.end, gates + static_cast<size_t>(head) * tokens + first + count - 1, true);
#endif
                copy_few<8>(&chunk.span, chunks + n, true);
                copy_few<4>(&chunk.exponent, exponent, true);
                copy_few<4>(&chunk.before, before, true);
            }
            if (tileCount == 0) ring.end(position);
            for (int member = 0; member < (tileCount > 0 ? group : 0); ++member) {
                const size_t row = static_cast<size_t>(first) * heads + head * group + member;
                const elem *vectors = x + row * WIDTH, *rows = values + row * COLUMNS;
                for (int token = 0; token < count; token += TOKENS) {
                    elem *stage = stages + ring.begin(position) * STAGE;
                    copyVectors.copy(stage, vectors, count - token);
                    copyValues.copy(stage + VECTOR_TILE, rows, count - token);
                    vectors += static_cast<size_t>(TOKENS) * heads * WIDTH;
                    rows += static_cast<size_t>(TOKENS) * heads * COLUMNS;
                    ring.end(position);
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
    auto carry = [&](const Chunk &own) { return power_of_two(DEGREE * (own.before - own.exponent)); };
    auto scaleState = [&](float factor) {
#pragma unroll
        for (int m = 0; m < TILES; ++m)
#pragma unroll
            for (int n = 0; n < COLUMNS / 2; ++n) state[m][n] *= factor;
    };

    // φ of 32 tokens, two operands of 16 for every tile.
    auto expand = [&](unsigned (&phi)[2 * TILES][4], const elem *vectors) {
        // The lane's row of the matrices that are loaded at once, and the pieces of a block's last factors in it.
        auto loaded = [&](int k, unsigned word) {
            const int piece = 2 * last_index(word) + lane / 8 % 2;
            return vectors + 64 * (piece / 8 * TOKENS + 16 * k + lane % 8 + lane / 16 * 8) + (piece ^ lane) % 8 * 8;
        };
#pragma unroll
        for (int k = 0; k < 2; ++k) {
            FragmentA factors;
            if (DEGREE <= 2) load_matrices_transposed(factors.r, loaded(k, block[0]));
#if DEGREE == 1
#pragma unroll
            for (int m = 0; m < TILES; ++m) {
                if (m > 0) load_matrices_transposed(factors.r, loaded(k, block[m]));
#pragma unroll
                for (int n = 0; n < 4; ++n) phi[k * TILES + m][n] = factors.r[n];
            }
#elif DEGREE == 2
            // The blocks share their last factors, and their prefixes are neighbours.
            unsigned prefixes[4];
#pragma unroll
            for (int n = 0; n < 4; ++n) {
                const elem *one = vectors + panel_place(16 * k + 2 * t + n / 2 * 8 + n % 2, prefix_index(block[0], 0), TOKENS);
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
                load_matrices_transposed(factors.r, loaded(k, block[m]));
                float prefix[4] = {1, 1, 1, 1};
#pragma unroll
                for (int i = 0; i < DEGREE - 1; ++i) {
                    const int column = prefix_index(block[m], i);
#pragma unroll
                    for (int n = 0; n < 4; ++n)
                        prefix[n] *= bfloat16_to_float(vectors[panel_place(16 * k + 2 * t + n / 2 * 8 + n % 2, column, TOKENS)]);
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
        const unsigned long long matrix = panel_descriptor(values, TOKENS, true);
        products_begin();
#pragma unroll
        for (int k = 0; k < 2; ++k)
#pragma unroll
            for (int m = 0; m < TILES; ++m)
                multiply_group<true>(state[m], phi[k * TILES + m], panel_advance(matrix, panel_offset(16 * k, 0, TOKENS)), true);
        products_commit();
    };

    RingPosition<STAGES> position;
    float reverseCarry = 1;
    for (int step = 0; step < span.y; ++step) {
        ring.wait_full(position);
        const Chunk &own = stageChunks[position.stage];
        const int tileCount = tilesOf(step, own.span.y);
#if GATED
        const float chunkDecay = decay_from_start(own.end);
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
            expand(odd, vectors + 64 * 32);
            multiply(odd, vectors + VECTOR_TILE + 64 * 32);
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
