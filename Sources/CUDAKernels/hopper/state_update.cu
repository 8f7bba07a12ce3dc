// state/update.cu for Hopper: the same states, from products of warpgroups.
//
// A warpgroup holds TILES tiles of 64 features; φ of the tokens, times their factors, is made in registers, as the left operand. One more
// warpgroup brings vectors and values to a ring of stages, and finds the factors, by which above degree 2 it multiplies the vectors: the decay exp(G_end − G_j) to the end of the chunk, or under
// REVERSE r_i exp(G_i), the decay from its start, with r_i as for the gradients of the queries. The kernel that reads the states may start beside
// it: blocks count for every state that they have stored their parts of it.
//
// The normalizer sums ones, or under REVERSE what `extra` has for a token. It is one more column of the values; where that would be a panel of
// its own, and the degree is 2, warpgroups behind those of the features multiply it instead: Z = Σ (f · extra · x) xᵀ, a tile of 64 of its rows and
// VALUE_WIDTH of its columns each.
//
// Grid: features by 64 · TILES · GROUPS, and tiles of the normalizer, key heads, sequences. Shared memory: STAGES of x [TOKENS, WIDTH] and
// v [TOKENS, COLUMNS] in panels, and above degree 2 of x turned (turned_vectors.cuh); up to degree 2 STORED_BLOCKS of 16 features of every warp in
// panels; STAGES of factors [FACTOR_KINDS, TOKENS], and of what belongs to a chunk; barriers.
#include "common/decay.cuh"
#include "common/expansion.cuh"
#include "common/exponents.cuh"
#include "common/repeat.cuh"
#include "hopper/panels.cuh"
#include "hopper/symmetric_state.cuh"
#include "hopper/turned_vectors.cuh"
#include "hopper/warp_share.cuh"

constexpr int THREADS = 128 * (GROUPS + 1);
// Kinds of factors of tokens: those of features, and, where they differ, those of the normalizer.
constexpr int FACTOR_KINDS = HAS_TILES && REVERSE ? 2 : 1;
constexpr int VECTOR_TILE = panel_numbers(TOKENS, WIDTH);
constexpr int VALUE_TILE = panel_numbers(TOKENS, COLUMNS);
// Where factors of prefixes are read from: of degree 2 a few at once from the vectors as they are, above that from turned ones, which take fewer
// loads and instructions.
constexpr bool TURNS_VECTORS = DEGREE > 2;
// Those of the step at hand and of the next, or, where registers are few, of one of both.
constexpr int FACTORS = TURNS_VECTORS || GROUPS == 3 ? 1 : 2;
constexpr int STAGE = VECTOR_TILE + VALUE_TILE + (TURNS_VECTORS ? TOKENS * WIDTH : 0);
// States of panels leave by way of shared memory, where every warp has room for STORED_BLOCKS of its blocks.
constexpr bool STORES_PANELS = DEGREE <= 2;
constexpr int STORED_BLOCK = panel_numbers(16, VALUE_WIDTH);
constexpr int STORED = 4 * GROUPS * STORED_BLOCKS * STORED_BLOCK;
static_assert((STORED_BLOCKS > 0) == STORES_PANELS, "room where it is needed");
static_assert(MATH == 0 && INPUT == 2, "rows in bfloat16");
static_assert(DEGREE > 0, "exponential attention has no state");
// Steps of a tile, of DEPTH fragments of tokens each.
constexpr int STEPS = TOKENS / (16 * DEPTH);
static_assert(GROUPS <= 3, "registers are shared out for so many");
static_assert(TOKENS % (16 * DEPTH) == 0 && STEPS % 2 == 0, "an even number of steps");
static_assert(TOKENS <= 128, "a thread finds the factor of a token");
// Blocks that share all but their first factors come in fours. Where all last factors are the same, a warp may have two such, most of which share
// the first ones too.
constexpr int QUADS = TILES == 8 ? 2 : 1, QUAD_TILES = TILES / QUADS;
static_assert(QUAD_TILES == 1 || QUAD_TILES == 2 || QUAD_TILES == 4, "at most four share all but their first factors");
static_assert(QUADS == 1 || (DEGREE > 2 && WIDTH == 16), "one fragment of last factors");

// What comes with the first stage of a chunk: the log-gates of its last token, its first token and their number, its exponent and that of
// the chunk before it.
struct Chunk {
    float2 end;
    int2 span;
    int exponent, before;
};

extern "C" __global__ void __launch_bounds__(THREADS, 1) state_update(
    const elem *givenX, const elem *scaledX, const int *__restrict__ isScaled, const elem *__restrict__ v,
    const float *__restrict__ extra, const float *__restrict__ statistics, const float2 *__restrict__ gates, const unsigned *__restrict__ blocks, const float *__restrict__ coefficients,
    const int *__restrict__ keyExponents, const int *__restrict__ initialExponents, const int4 *__restrict__ sequences,
    const int4 *__restrict__ chunks, const float *__restrict__ initial, elem *__restrict__ states, float *__restrict__ last, int tokens,
    int keyHeads, int group, int blockCount, int *stored
) {
    extern __shared__ __align__(1024) unsigned char memory[];
    elem *stages = reinterpret_cast<elem *>(memory);
    elem *stageFactors = stages + STAGES * STAGE + STORED;
    Chunk *stageChunks = reinterpret_cast<Chunk *>(stageFactors + STAGES * FACTOR_KINDS * TOKENS);
    Ring<STAGES, GROUPS, 256> ring(reinterpret_cast<unsigned long long *>(stageChunks + STAGES));
    // That warps have stored a state.
    unsigned long long *storing = reinterpret_cast<unsigned long long *>(stageChunks + STAGES) + 2 * STAGES;

    const int index = thread_index(), thread = index % 128, consumer = warpgroup_index() - 1;
    const int head = blockIdx.y, sequence = blockIdx.z;
    const int4 span = sequences[sequence];
    if (index == 0) {
        ring.initialize();
        barrier_init(storing, 4 * GROUPS);
    }
    // The normalizer's columns: copies of values leave them alone.
    if constexpr (!HAS_TILES) {
        for (int n = index; n < STAGES * TOKENS; n += THREADS)
            *reinterpret_cast<uint4 *>(stages + n / TOKENS * STAGE + VECTOR_TILE + panel_place(n % TOKENS, VALUE_WIDTH, TOKENS)) =
                make_uint4(pack_bfloat16(1, 0), 0, 0, 0);
    }
    start_next_kernel();
    fence_products();
    __syncthreads();

    auto chunkOf = [&](int step) { return span.x + (REVERSE ? span.y - 1 - step : step); };
    // The tiles of a chunk of so many tokens. Nothing reads what the last chunk of the walk would leave: it is a stage without tokens.
    auto tilesOf = [&](int step, int count) {
        return step + 1 == span.y && last == nullptr ? 0 : (count + TOKENS - 1) / TOKENS * group;
    };

    if (consumer < 0) {
        lower_registers<producer_registers(GROUPS)>();
        const elem *x = choose_rows(givenX, scaledX, isScaled, REVERSE ? 0 : 1);
        const int heads = keyHeads * group;
        RingPosition<STAGES> position;
        // Vectors are turned while copies of later stages are under way.
        constexpr int later = STAGES < 5 ? 1 : 3;
        RingPosition<STAGES> turned;
        int waiting = 0;
        auto turn = [&] {
            if constexpr (TURNS_VECTORS) {
                named_barrier<128>(1);
                elem *stage = stages + turned.stage * STAGE;
                turn_vectors<TOKENS>(stage + VECTOR_TILE + VALUE_TILE, stage, stageFactors + turned.stage * TOKENS);
                ring.finish(turned);
                --waiting;
            }
        };
        // What the factor of the thread's token is made of, of the stage whose copies began last; it is made when those of the next one have
        // begun, because memory answers late.
        RingPosition<STAGES> factored;
        bool isAsked = false;
        [[maybe_unused]] float2 gate, chunkGate;
        [[maybe_unused]] float statistic, extraNumber;
        auto ask = [&](const float2 *tokenGates, size_t row) {
            isAsked = true;
            if (thread >= TOKENS) return;
#if GATED
            gate = *tokenGates;
#endif
#if REVERSE
            statistic = statistics[row], extraNumber = extra[row];
#endif
        };
        auto finishFactors = [&] {
            if (!isAsked) return;
            isAsked = false;
            if (thread < TOKENS) {
                float factor = 1;
#if REVERSE
                factor = NORMALIZED ? fabsf(statistic) : statistic;
#endif
#if GATED
                factor *= REVERSE ? decay_from_start(gate) : decay(chunkGate, gate);
#endif
                elem *place = stageFactors + factored.stage * FACTOR_KINDS * TOKENS + thread;
                *place = to_elem(factor);
#if REVERSE
                if constexpr (HAS_TILES) {
                    place[TOKENS] = to_elem(factor * extraNumber);
                } else {
                    *reinterpret_cast<uint4 *>(stages + factored.stage * STAGE + VECTOR_TILE + panel_place(thread, VALUE_WIDTH, TOKENS)) =
                        make_uint4(pack_bfloat16(extraNumber, 0), 0, 0, 0);
                    fence_products();
                }
#endif
            }
            if constexpr (TURNS_VECTORS) {
                factored.advance();
            } else {
                ring.finish(factored);
            }
        };
        // A stage's copies have begun.
        auto end = [&](const float2 *tokenGates, size_t row) {
            ring.end(position);
            finishFactors();
            ask(tokenGates, row);
            if (!TURNS_VECTORS) return;
            commit_copies();
            if (++waiting <= later) return;
            wait_copies<later>();
            turn();
        };
        auto endAll = [&] {
            finishFactors();
            if (!TURNS_VECTORS) return;
            wait_copies<0>();
            while (waiting > 0) turn();
        };
        // A chunk is known before it is needed; a sequence without tokens has none.
        int4 next = make_int4(0, 0, 0, 0);
        if (span.y > 0) next = chunks[chunkOf(0)];
        // Those who wait for the state of this step learn that it is there. The consumers have stored it long before the next step's tiles have
        // room, and never wait for others to see it.
        auto announce = [&](int step) {
            if (stored == nullptr || step < 0 || thread != 0) return;
            barrier_wait(storing, step % 2);
            count_globally(stored + static_cast<size_t>(chunkOf(step)) * keyHeads + head);
        };
        for (int step = 0; step < span.y; ++step) {
            const int n = chunkOf(step), first = next.x, count = next.y, tileCount = tilesOf(step, count);
            next = chunks[chunkOf(min(step + 1, span.y - 1))];
            ring.begin(position);
            announce(step - 1);
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
            const float2 *headGates = gates + static_cast<size_t>(head) * tokens + first;
#if GATED
            chunkGate = headGates[count - 1];
#endif
            if (tileCount == 0) end(headGates, static_cast<size_t>(first) * heads + head * group);
            for (int member = 0; member < (tileCount > 0 ? group : 0); ++member) {
                const size_t row = static_cast<size_t>(first) * heads + head * group + member;
                const elem *vectors = x + row * WIDTH, *rows = v + row * VALUE_WIDTH;
                for (int token = 0; token < count; token += TOKENS) {
                    elem *stage = stages + ring.begin(position) * STAGE;
                    copy_panels<TOKENS, WIDTH / 8>(stage, vectors, static_cast<size_t>(heads) * WIDTH, count - token, thread);
                    copy_panels<TOKENS, VALUE_WIDTH / 8>(
                        stage + VECTOR_TILE, rows, static_cast<size_t>(heads) * VALUE_WIDTH, count - token, thread);
                    vectors += static_cast<size_t>(TOKENS) * heads * WIDTH;
                    rows += static_cast<size_t>(TOKENS) * heads * VALUE_WIDTH;
                    const int own = min(token + thread, count - 1);
                    end(headGates + own, row + static_cast<size_t>(own) * heads);
                }
            }
            // Before anybody waits for what the consumers do with them.
            endAll();
        }
        announce(span.y - 1);
        finish_copies();
        return;
    }

    raise_registers<consumer_registers(GROUPS)>();
    const int lane = thread % 32, t = lane % 4;
    const int featureCount = blockCount * 16;
#if DEGREE <= 2
    const size_t stateNumbers = STATE_NUMBERS;
#else
    const size_t stateNumbers = static_cast<size_t>(featureCount) * (VALUE_WIDTH + 8);
#endif
    const size_t sequenceState = (static_cast<size_t>(sequence) * keyHeads + head) * featureCount * (VALUE_WIDTH + 8);
    const WarpShare share(blockCount);
    const bool isNormalizer = share.isNormalizer;

    unsigned block[TILES];
    float state[TILES][COLUMNS / 2] = {};
#pragma unroll
    for (int m = 0; m < TILES; ++m) block[m] = isNormalizer || m >= share.count ? 0 : blocks[share.firstBlock + m];
    if (isNormalizer && share.count > 0) block[0] = share.firstRow / 16 << 24;
    if (initial != nullptr) {
        share.forFeatures([&](int m, int n, int place) { state[m][n] = initial[sequenceState + place]; });
        share.forNormalizer([&](int n, int place, bool) { state[0][n] = initial[sequenceState + place]; });
    }

    // 2^(p(E_before − E_n)).
    auto carry = [&](const Chunk &own) { return power_of_two(DEGREE * (own.before - own.exponent)); };
    auto scaleState = [&](float factor) {
#pragma unroll
        for (int m = 0; m < TILES; ++m)
#pragma unroll
            for (int n = 0; n < COLUMNS / 2; ++n) state[m][n] *= factor;
    };

    // Stores the state in bfloat16.
#if DEGREE <= 2
    // By way of shared memory: 16 rows of a panel stand there as they do in a state.
    auto store = [&](elem *numbers) {
        const WarpShare own(blockCount);
        const Place &at = own.at;
#pragma unroll
        for (int m = 0; m < TILES; ++m) {
            if (m >= own.count) continue;
            // What follows from it is made again each time: kept, it would take registers from the products.
            unsigned word[1] = {block[m]};
            words_ready(word);
            elem *rows = stages + STAGES * STAGE + ((4 * at.group + at.warp) * STORED_BLOCKS + m % STORED_BLOCKS) * STORED_BLOCK;
            if (m >= STORED_BLOCKS) {
                if (at.lane == 0) wait_bulk_reads();
                __syncwarp();
            }
#pragma unroll
            for (int column = 0; column < VALUE_WIDTH; column += 64)
                store_panel(rows + panel_place(0, column, 16), state[m], column, VALUE_WIDTH - column, at.lane);
            fence_products();
            __syncwarp();
            if (at.lane == 0) {
#pragma unroll
                for (int column = 0; column < VALUE_WIDTH; column += 64) {
                    const int panel = NORMALIZER_PLACE + NORMALIZER_PANEL / 64 * (own.firstColumn + column);
                    if (own.isNormalizer && own.firstColumn + column >= WIDTH) break;
                    // Of a group's own columns first factors of its second half leave those of that.
                    const int skipped = !own.isNormalizer && SymmetricPlace(word[0], 0).isPair() ? 8 : 0;
                    store_bulk(
                        numbers + (own.isNormalizer ? panel + 64 * own.firstRow : SymmetricPlace(word[0], skipped).values(column)),
                        rows + panel_place(skipped, column, 16), (16 - skipped) * 64 * sizeof(elem));
                }
                commit_bulk_stores();
            }
            if constexpr (!HAS_TILES) {
                if (at.t != 0) continue;
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const elem number = to_elem(state[m][COLUMNS / 2 - 4 + 2 * half]);
                    SymmetricPlace(word[0], 8 * half + at.g).normalizer([&](int place) { numbers[place] = number; });
                }
            }
        }
    };
#else
    auto store = [&](elem *numbers) {
        const WarpShare own(blockCount);
        // Read each time: kept, they would take registers from the products.
        float factors[TILES][2];
#pragma unroll
        for (int m = 0; m < TILES; ++m)
#pragma unroll
            for (int half = 0; half < 2 && m < own.count; ++half) factors[m][half] = coefficients[(own.firstBlock + m) * 16 + 8 * half + own.at.g];
        own.forFeatures([&](int m, int n, int place) {
            const float coefficient = factors[m][n / 2 % 2];
            if (n % 2 == 0)
                *reinterpret_cast<unsigned *>(numbers + place) = pack_bfloat16(state[m][n] * coefficient, state[m][n + 1] * coefficient);
        });
    };
#endif

    // What the features of a step are made of: loaded early, because shared memory answers late. `lastPlace` is the lane's row of the matrices
    // that are loaded at once. From degree 2 on the blocks share all factors but the first, and the first ones are neighbours.
    auto mixed = [&](int column, int mix) { return (column ^ mix) + (WIDTH > 64 ? column / 64 * 64 * (TOKENS - 1) : 0); };
    auto lastPlace = [&](unsigned word) {
        return 64 * (lane % 8 + lane / 16 * 8) + mixed(16 * last_index(word), (lane / 8 % 2 ^ lane % 8) * 8);
    };
#if DEGREE == 1
    struct Factors {
        // Of the lane's four tokens, two in a word.
        uint2 tokens[DEPTH];
        FragmentA last[DEPTH][TILES];
    };
    int lastPlaces[TILES];
#pragma unroll
    for (int m = 0; m < TILES; ++m) lastPlaces[m] = lastPlace(block[m]);
#elif DEGREE == 2
    struct Factors {
        uint2 tokens[DEPTH];
        FragmentA last[DEPTH];
        unsigned firsts[DEPTH][4][(TILES + 1) / 2];
    };
    const int tileLastPlace = lastPlace(block[0]);
    // The prefix of the lane's tokens 2t and 2t + 1; tokens 8 and more further on are in the same places of their rows.
    int prefixPlaces[2];
#pragma unroll
    for (int n = 0; n < 2; ++n) prefixPlaces[n] = 64 * (2 * t + n) + mixed(prefix_index(block[0], 0), 8 * (2 * t + n));
#else
    struct Factors {
        FragmentA last[DEPTH];
        // Of the lane's four tokens, two in a word.
        uint2 firsts[DEPTH][QUADS][QUAD_TILES], others[DEPTH][QUADS][DEGREE - 2];
    };
    const int tileLastPlace = lastPlace(block[0]);
    int prefixPlaces[QUADS][DEGREE - 1];
#pragma unroll
    for (int quad = 0; quad < QUADS; ++quad)
#pragma unroll
        for (int i = 0; i < DEGREE - 1; ++i) prefixPlaces[quad][i] = turned_place(prefix_index(block[QUAD_TILES * quad], i), t);
    // What a warp without blocks, or with one four of them, makes of the others is not stored.
    const bool sharesFirsts = QUADS == 1 || prefix_index(block[0], 0) == prefix_index(block[TILES - QUAD_TILES], 0);
#endif
    const int tokenPlace = 2 * t + (isNormalizer ? (FACTOR_KINDS - 1) * TOKENS : 0);
    auto load = [&](Factors &factors, int stage, int step) {
        const elem *vectors = stages + stage * STAGE;
        [[maybe_unused]] const elem *tokenFactors = stageFactors + stage * FACTOR_KINDS * TOKENS + tokenPlace;
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            const elem *tokens = vectors + 64 * 16 * (DEPTH * step + k);
#if DEGREE <= 2
            const elem *own = tokenFactors + 16 * (DEPTH * step + k);
            factors.tokens[k] = make_uint2(*reinterpret_cast<const unsigned *>(own), *reinterpret_cast<const unsigned *>(own + 8));
#endif
#if DEGREE == 1
#pragma unroll
            for (int m = 0; m < TILES; ++m) load_matrices_transposed(factors.last[k][m].r, tokens + lastPlaces[m]);
#else
            load_matrices_transposed(factors.last[k].r, tokens + tileLastPlace);
#endif
#if DEGREE == 2
#pragma unroll
            for (int n = 0; n < 4; ++n) {
                const elem *first = tokens + prefixPlaces[n % 2] + 64 * 8 * (n / 2);
                if constexpr (TILES == 4) {
                    const uint2 four = *reinterpret_cast<const uint2 *>(first);
                    factors.firsts[k][n][0] = four.x, factors.firsts[k][n][1] = four.y;
                } else {
                    factors.firsts[k][n][0] = TILES == 2 ? *reinterpret_cast<const unsigned *>(first) : *first;
                }
            }
#elif DEGREE > 2
            const elem *turned = vectors + VECTOR_TILE + VALUE_TILE + 16 * WIDTH * (DEPTH * step + k);
#pragma unroll
            for (int quad = 0; quad < QUADS; ++quad) {
                if (quad == 0 || !sharesFirsts) load_turned(factors.firsts[k][quad], turned + prefixPlaces[quad][0]);
#pragma unroll
                for (int i = 1; i < DEGREE - 1; ++i)
                    factors.others[k][quad][i - 1] = *reinterpret_cast<const uint2 *>(turned + prefixPlaces[quad][i]);
            }
#endif
        }
    };
    auto expand = [&](unsigned (&phi)[DEPTH * QUAD_TILES][4], const Factors &factors, [[maybe_unused]] int quad) {
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            // All but the first and the last: above degree 2 the last ones have come with their tokens' factors.
#if DEGREE > 2
            uint2 others = factors.others[k][quad][0];
#pragma unroll
            for (int i = 1; i < DEGREE - 2; ++i) others = multiply_both(others, factors.others[k][quad][i]);
#else
            const uint2 others = factors.tokens[k];
#endif
#if DEGREE > 1
            unsigned products[4];
#pragma unroll
            for (int n = 0; n < 4; ++n) products[n] = multiply_bfloat16(factors.last[k].r[n], n < 2 ? others.x : others.y);
#endif
#pragma unroll
            for (int m = 0; m < QUAD_TILES; ++m) {
                // Of two tokens in the halves of a word.
#if DEGREE == 2
                auto both = [&](int n) {
                    return __byte_perm(factors.firsts[k][n][m / 2], factors.firsts[k][n + 1][m / 2], m % 2 == 0 ? 0x5410 : 0x7632);
                };
                const unsigned one = m == 0 ? 0x3f803f80 : 0;
                const uint2 first = isNormalizer ? make_uint2(one, one) : make_uint2(both(0), both(2));
#elif DEGREE > 2
                const uint2 first = sharesFirsts ? factors.firsts[k][0][m] : factors.firsts[k][quad][m];
#endif
#pragma unroll
                for (int n = 0; n < 4; ++n) {
#if DEGREE == 1
                    phi[k * QUAD_TILES + m][n] = multiply_bfloat16(factors.last[k][m].r[n], n < 2 ? others.x : others.y);
#else
                    phi[k * QUAD_TILES + m][n] = multiply_bfloat16(products[n], n < 2 ? first.x : first.y);
#endif
                }
            }
        }
    };
    auto multiply = [&](const unsigned (&phi)[DEPTH * QUAD_TILES][4], const elem *values, int quad) {
        const unsigned long long matrix = panel_descriptor(values, TOKENS, true);
        products_begin();
#pragma unroll
        for (int k = 0; k < DEPTH; ++k)
#pragma unroll
            for (int m = 0; m < QUAD_TILES; ++m)
                multiply_group<true>(
                    state[QUAD_TILES * quad + m], phi[k * QUAD_TILES + m], panel_advance(matrix, panel_offset(16 * k, 0, TOKENS)), true);
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
            store(states + (static_cast<size_t>(chunkOf(step)) * keyHeads + head) * stateNumbers);
        }
        // What warps have stored is there once its copies are, which takes a while.
        auto finishStoring = [&] {
            if (STORES_PANELS && lane == 0) wait_bulk_stores();
            arrive_warp(storing, lane);
        };
        if (!STORES_PANELS || tileCount == 0) finishStoring();
        scaleState(chunkDecay);
        // The features of one step are made while the products of the step before are under way, from factors that are loaded before.
        RingPosition<STAGES> previous = position;
        Factors factors[FACTORS];
        load(factors[0], position.stage, 0);
        for (int tile = 0; tile < tileCount; ++tile) {
            unsigned phi[2][DEPTH * QUAD_TILES][4];
            const elem *columns = stages + position.stage * STAGE + (isNormalizer ? share.firstColumn * TOKENS : VECTOR_TILE);
            // The next tile of the chunk, or the same again.
            RingPosition<STAGES> next = position;
            next.advance();
            const RingPosition<STAGES> ready = tile + 1 < tileCount ? next : position;
            repeat<STEPS>([&](auto step) {
                constexpr int n = decltype(step)::value;
                auto loadNext = [&] {
                    if constexpr (n + 1 < STEPS) {
                        load(factors[(n + 1) % FACTORS], position.stage, n + 1);
                    } else {
                        ring.wait_full(ready);
                        load(factors[0], ready.stage, 0);
                    }
                };
                if constexpr (FACTORS == 2) loadNext();
#pragma unroll
                for (int quad = 0; quad < QUADS; ++quad) {
                    unsigned (&features)[DEPTH * QUAD_TILES][4] = phi[(QUADS * n + quad) % 2];
                    expand(features, factors[n % FACTORS], quad);
                    if (FACTORS == 1 && quad == QUADS - 1) loadNext();
                    multiply(features, columns + 64 * 16 * DEPTH * n, quad);
                    products_wait<1>();
                    if (n == 0 && quad == 0 && tile > 0) ring.release(previous, lane);
                }
            });
            if (STORES_PANELS && tile == 0) finishStoring();
            previous = position;
            position = next;
        }
        products_wait<0>();
        ring.release(previous, lane);
        if (tileCount == 0) position.advance();
#pragma unroll
        for (int m = 0; m < TILES; ++m) products_use(state[m]);
    }
    if (REVERSE) scaleState(reverseCarry);

    if (last == nullptr) return;
    const WarpShare own(blockCount);
    own.forFeatures([&](int m, int n, int place) {
        if (n % 2 == 0) *reinterpret_cast<float2 *>(last + sequenceState + place) = make_float2(state[m][n], state[m][n + 1]);
    });
    own.forNormalizer([&](int n, int place, bool isFirst) {
        if (!isFirst) return;
        float4 *eight = reinterpret_cast<float4 *>(last + sequenceState + place);
        eight[0] = make_float4(state[0][n], 0, 0, 0), eight[1] = make_float4(0, 0, 0, 0);
    });
}
