// attention/forward.cu for Hopper: the same outputs and statistics, from products of warpgroups.
//
// A block stays on its multiprocessor and takes one tile of queries of one head after another. Where blocks of state_update.cu leave it
// one, it starts beside them, and waits for a state when it needs it. One warpgroup brings tiles of the state and of keys and values to a
// ring of stages; GROUPS warpgroups of 64 queries each multiply. The normalizer is one more column of the values, whose keys are ones.
// While a warpgroup weighs the scores of a tile of keys, its products of the tile before are under way.
//
// Where nothing reads a state and sums of weights divide, outputs are tried from rows as they were given, before anybody has measured those.
// This kernel sees every number of them: where one is large, or the sum of weights of a row small, rows are measured and scaled, and this kernel
// runs once more; else those kernels return at once.
//
// Grid: as many blocks as fit. Shared memory: two tiles of queries [ROWS, WIDTH]; STAGES of keys [KEYS, WIDTH] and, from VALUE_PLACE on, values
// [KEYS, VALUE_WIDTH + 8], or of states, up to degree 2 parts of symmetric ones, else [FEATURES, VALUE_WIDTH + 8], all in panels; gates of two
// tiles of queries [ROWS] float2; STAGES of log-gates [KEYS] float2 and decays [KEYS] float; WORDS words of features, and pairs of queries;
// barriers, and two items.
#include "common/decay.cuh"
#include "common/exponents.cuh"
#include "common/output.cuh"
#include "hopper/column_numbers.cuh"
#include "hopper/feature_outputs.cuh"
#include "hopper/given_rows.cuh"
#include "hopper/queue.cuh"
#include "hopper/row_sets.cuh"
#include "hopper/stored_rows.cuh"
#include "hopper/symmetric_outputs.cuh"

constexpr int THREADS = 128 * (GROUPS + 1);
constexpr int COLUMNS = VALUE_WIDTH + 8;
constexpr int VALUE_TILE = panel_numbers(KEYS, COLUMNS);
constexpr int KEY_TILE = panel_numbers(KEYS, WIDTH);
// A tile of the state takes the place of keys and of whole panels of values, but not that of the column of ones after them.
constexpr int STATE_ROOM = VALUE_PLACE + KEYS * (VALUE_WIDTH / 64 * 64);
constexpr int STAGE = VALUE_PLACE + VALUE_TILE;
static_assert(VALUE_PLACE >= KEY_TILE, "room for keys");
#if DEGREE <= 2
static_assert(!STATES || (STATE_ROOM >= LARGEST_TILE && STATE_ROOM >= NORMALIZER_PANEL), "room for a state");
#else
static_assert(!STATES || STATE_ROOM >= panel_numbers(FEATURES, COLUMNS), "room for a state");
#endif
constexpr int QUERY_TILE = panel_numbers(ROWS, WIDTH);
// Whether queries stay in registers as the left operand of scores, which leaves shared memory half of their reads: where there is room beside
// features of a state, or factors of rows that nothing normalizes.
constexpr bool QUERIES_STAY = !STATES || GROUPS < 3 || WIDTH + VALUE_WIDTH < 128 || (NORMALIZED && DEGREE <= 2);
#define TRIES_GIVEN_ROWS (!STATES && NORMALIZED)
static_assert(!TRIES_GIVEN_ROWS || DEGREE % 2 == 0, "weights are not negative");
static_assert(MATH == 0 && INPUT == 2, "rows in bfloat16");
static_assert(DEGREE > 0, "powers only");
static_assert(GROUPS == 2 || GROUPS == 3, "registers are shared out for two or three");
static_assert(KEYS == 64 || KEYS == 128, "the queries of a warpgroup are the keys of one tile");
static_assert(FEATURES == 64, "four blocks of features a stage");
static_assert(STAGES >= 3, "a warpgroup holds two stages while it waits for a third");

// `needsScaling`, where rows are tried as they were given: becomes 1 where one has a large number, or the sum of a row is not ordinary, but for
// rows of zeros; exponents of queries become zero, because nobody has measured them. `isNeeded`, where rows were scaled after that: without it
// nothing is left to do.
extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_forward(
    const elem *givenQ, const elem *givenK, const elem *scaledQ, const elem *scaledK, const int *isScaled,
    const elem *__restrict__ v, const float2 *__restrict__ gates, const int *__restrict__ firstVisible, const elem *__restrict__ states,
    const unsigned *__restrict__ blocks, int *__restrict__ queryExponents, const int *__restrict__ keyExponents,
    const int4 *__restrict__ tiles, const int4 *__restrict__ chunks, input *__restrict__ y, float *__restrict__ exact,
    float *__restrict__ statistics, int tokens, int queryHeads, int keyHeads, int valueWidth, int paddedValueWidth, int blockCount,
    int hasInitialState, int window, float scale, int scaleExponent, const float *__restrict__ decays, int tileCount, int *taken,
    const int *stored, int storedCount, int *needsScaling, const int *isNeeded
) {
#if TRIES_GIVEN_ROWS
    // Behind others the next kernel may be anybody's, who expects that what ran before this one is over.
    if (needsScaling != nullptr) start_next_kernel();
    if (isNeeded != nullptr) {
        wait_for_previous_kernel();
        if (*isNeeded == 0) return;
    }
#endif
    extern __shared__ __align__(1024) unsigned char memory[];
    elem *queries = reinterpret_cast<elem *>(memory);
    elem *stages = queries + 2 * QUERY_TILE;
    float2 *queryGates = reinterpret_cast<float2 *>(stages + STAGES * STAGE);
    float2 *keyGates = queryGates + 2 * ROWS;
    float *keyDecays = reinterpret_cast<float *>(keyGates + STAGES * KEYS);
    uint4 *sharedWords = reinterpret_cast<uint4 *>(keyDecays + STAGES * KEYS);
    unsigned *pairs = reinterpret_cast<unsigned *>(sharedWords + WORDS / 4);
    unsigned long long *barriers = reinterpret_cast<unsigned long long *>(pairs + ROWS / 16 * PAIR_WORDS);
    unsigned long long *queriesEmpty = barriers;
    Ring<STAGES, GROUPS> ring(barriers + 2);
    unsigned long long *queueBarriers = barriers + 2 + 2 * STAGES;
    const ItemQueue<2, Item> queue(reinterpret_cast<Item *>(queueBarriers + 2), queueBarriers);

    const int index = thread_index(), thread = index % 128, group = warpgroup_index() - 1;
    const int itemCount = tileCount * queryHeads;
#if STATES && DEGREE > 2
    const FeatureStages stateStages(blockCount);
#endif

    if (index == 0) {
        for (int n = 0; n < 2; ++n) barrier_init(queriesEmpty + n, 4 * GROUPS);
        ring.initialize();
        queue.initialize();
    }
    // The column of ones.
    for (int n = index; n < STAGES * KEYS; n += THREADS) {
        elem *row = stages + n / KEYS * STAGE + VALUE_PLACE + panel_place(n % KEYS, VALUE_WIDTH, KEYS);
        *reinterpret_cast<uint4 *>(row) = make_uint4(0x3f80, 0, 0, 0);
    }
#if STATES && DEGREE > 2
    const uint4 *words = share_words(blocks, stateStages.count, sharedWords, index, THREADS);
#endif
    fence_products();
    __syncthreads();

    if (group < 0) {
        lower_registers<producer_registers(GROUPS)>();
#if TRIES_GIVEN_ROWS
        // For the sums of gates. Beside a walk over the chunks, which is waited for below, they are there.
        if (stored == nullptr) wait_for_previous_kernel();
#endif
        const elem *q = choose_rows(givenQ, scaledQ, isScaled, 0), *k = choose_rows(givenK, scaledK, isScaled, 1);
        RingPosition<STAGES> position;
        RingPosition<2> queryPosition;
        ItemQueue<2, Item>::Taker taker(queue, taken, thread);
        for (;;) {
            barrier_wait(queriesEmpty + queryPosition.stage, queryPosition.parity ^ 1);
            const Item item = taker.take(queryPosition, thread, [&](int index) {
                return Item(index, itemCount, tiles, chunks, queryHeads, keyHeads, hasInitialState);
            });
            if (item.count == 0) break;
            const int end = item.end();
#if GATED
            const float2 *headGates = gates + static_cast<size_t>(item.keyHead) * tokens;
            const float *headDecays = decays + static_cast<size_t>(item.keyHead) * tokens;
#endif
            // They arrive with the first stage. Places of 14 pieces, of three kinds, would take more registers than there are.
            copy_panels<ROWS, WIDTH / 8, WIDTH == 112>(
                queries + queryPosition.stage * QUERY_TILE, q + (static_cast<size_t>(item.firstToken) * queryHeads + item.head) * WIDTH,
                static_cast<size_t>(queryHeads) * WIDTH, item.count, thread);
#if GATED
            for (int n = thread; n < ROWS; n += 128)
                copy_few<8>(queryGates + queryPosition.stage * ROWS + n, headGates + min(item.firstToken + n, end - 1), true);
#endif
            queryPosition.advance();
#if STATES
            if (item.hasState) {
                const size_t number = static_cast<size_t>(item.chunk) * keyHeads + item.keyHead;
                if (stored != nullptr) wait_for_count(stored + number, storedCount);
#if DEGREE <= 2
                const elem *state = states + number * STATE_NUMBERS;
                for (int n = 0; NORMALIZED && n < NORMALIZER_PANELS; ++n) copy_normalizer<STAGE>(ring, position, stages, state, n, thread);
                copy_tiles<STATE_ROOM, STAGE>(ring, position, stages, state);
#else
                const elem *state = states + number * stateStages.features * COLUMNS;
                for (int first = 0; first < stateStages.count * FEATURES; first += FEATURES) {
                    const int stage = ring.begin(position);
                    copy_panels<FEATURES, COLUMNS / 8>(
                        stages + stage * STAGE, state + static_cast<size_t>(first) * COLUMNS, COLUMNS, stateStages.features - first, thread);
                    ring.end(position);
                }
#endif
            }
#endif
            FOR_EVERY_SET(item) {
                const int end = SET_OF(item, set).end();
                for (int first = item.chunkStart; first < end; first += KEYS) {
                    const int stage = ring.begin(position);
                    elem *keys = stages + stage * STAGE;
                    const size_t row = static_cast<size_t>(first) * keyHeads + item.keyHead;
                    copy_panels<KEYS, WIDTH / 8>(
                        keys, k + row * WIDTH, static_cast<size_t>(keyHeads) * WIDTH, end - first, thread);
                    copy_panels<KEYS, VALUE_WIDTH / 8>(
                        keys + VALUE_PLACE, v + row * VALUE_WIDTH, static_cast<size_t>(keyHeads) * VALUE_WIDTH, end - first, thread);
#if GATED
                    if (thread < KEYS) {
                        const int token = min(first + thread, end - 1);
                        copy_few<8>(keyGates + stage * KEYS + thread, headGates + token, true);
                        copy_few<4>(keyDecays + stage * KEYS + column_place(thread), headDecays + token, true);
                    }
#endif
                    ring.end(position);
                }
            }
        }
        finish_copies();
        wait_for_previous_kernel();
    } else {
        raise_registers<consumer_registers(GROUPS)>();
        const int warp = thread / 32, lane = thread % 32, g = lane / 4, t = lane % 4;
        RingPosition<STAGES> position;
        RingPosition<2> queryPosition;
        for (;;) {
            const Item item = queue.read(queryPosition);
            if (item.count == 0) break;
#if STATES && DEGREE > 2
            // The state before the chunk.
            float setSums[ROW_SETS][COLUMNS / 2] = {};
            {
                const Place at;
                ring.wait_full(position);
                const elem *rows = queries + queryPosition.stage * QUERY_TILE + 64 * (64 * group + 16 * at.warp);
                multiply_state<ROWS, 64 * SET_ROWS, STAGE>(
                    setSums, ring, position, stages, rows, pairs + ROW_SETS * PAIR_WORDS * (4 * group + at.warp), words, at.lane,
                    item.hasState ? stateStages.count : 0, stateStages.count);
            }
#endif

            FOR_EVERY_SET(item) {
                const Item &part = SET_OF(item, set);
                const int end = part.end(), groupFirst = part.firstToken + 64 * group;
                const elem *tile = queries + queryPosition.stage * QUERY_TILE + 64 * (SET_ROWS * set + 64 * group);
                ring.wait_full(position);
#if GATED
                const float2 *tileGates = queryGates + queryPosition.stage * ROWS + SET_ROWS * set + 64 * group;
                const float2 baseGate = tileGates[0], rowGates[2] = {tileGates[16 * warp + g], tileGates[16 * warp + 8 + g]};
#endif
#if STATES && DEGREE > 2
                float (&sums)[COLUMNS / 2] = setSums[0];
#else
                float sums[COLUMNS / 2] = {};
#endif

                // The state before the chunk.
#if STATES && DEGREE <= 2
                {
                    const Place at;
                    const elem *rows = queries + queryPosition.stage * QUERY_TILE + 64 * (64 * at.group + 16 * at.warp);
                    multiply_state<ROWS, STATE_ROOM, STAGE>(sums, ring, position, stages, rows, at, item.hasState);
                }
#endif
#if STATES && GATED
                {
                    const float baseDecay = decay_from_start(baseGate);
#pragma unroll
                    for (int n = 0; n < COLUMNS / 2; ++n) sums[n] *= baseDecay;
                }
#endif
                // Without it the compiler finds no registers for products on both of the ways to the last tile.
                products_use(sums);

                const LeftRows<WIDTH, ROWS, QUERIES_STAY> own(tile, warp, lane);
                // The keys of the chunk up to the warpgroup's last query; a warpgroup without queries multiplies one tile for nothing. There is no
                // branch around the tiles of the state and of the keys, because the sums of products would no longer stay in place.
                const int tileCountHere = groupFirst < end ? (min(groupFirst + 64, end) - item.chunkStart + KEYS - 1) / KEYS : 1;
                const int allTiles = (end - item.chunkStart + KEYS - 1) / KEYS;
                // Weights of the tile at `position`, as the operand of their product with the values.
                unsigned weights[KEYS / 16][4] = {};
                auto multiplyScores = [&](float (&scores)[KEYS / 2]) {
                    const unsigned long long keys = panel_descriptor(stages + position.stage * STAGE, KEYS, false);
                    products_begin();
                    own.multiply(scores, keys);
                    products_commit();
                };
                auto multiplyValues = [&](int stage) {
                    const unsigned long long values = panel_descriptor(stages + stage * STAGE + VALUE_PLACE, KEYS, true);
                    products_begin();
#pragma unroll
                    for (int depth = 0; depth < KEYS / 16; ++depth)
                        multiply_group<true>(sums, weights[depth], panel_advance(values, panel_offset(16 * depth, 0, KEYS)), true);
                    products_commit();
                };
                // The decays of a lane's columns of the tile at `position` to the first query of the warpgroup: loaded before products start.
#if GATED
                float columnDecays[KEYS / 4];
#endif
                auto loadDecays = [&] {
#if GATED
                    // From a key to the last of its 64, and from that to the query.
#pragma unroll
                    for (int i = 0; i < KEYS / 64; ++i) {
                        const float tileDecay = decay(baseGate, keyGates[position.stage * KEYS + 64 * i + 63]);
                        float (&numbers)[16] = *reinterpret_cast<float (*)[16]>(columnDecays + 16 * i);
                        load_columns(numbers, keyDecays + position.stage * KEYS + 64 * i, t);
#pragma unroll
                        for (int n = 0; n < 16; ++n) numbers[n] *= tileDecay;
                    }
#endif
                };
                // Weights of keys that all queries of the warpgroup see.
                auto weigh = [&](float (&scores)[KEYS / 2]) {
#pragma unroll
                    for (int i = 0; i < KEYS / 2; ++i) {
#if GATED
                        scores[i] = power(scores[i]) * columnDecays[i / 4 * 2 + i % 2];
#else
                        scores[i] = power(scores[i]);
#endif
                    }
                };
                auto pack = [&](const float (&scores)[KEYS / 2]) {
#pragma unroll
                    for (int depth = 0; depth < KEYS / 16; ++depth) make_operand(weights[depth], scores, 8 * depth);
                };
                RingPosition<STAGES> previous = position;
                ring.wait_full(position);
                loadDecays();
                if (tileCountHere > 1) {
                    auto takeNext = [&] {
                        previous = position;
                        position.advance();
                        ring.wait_full(position);
                        loadDecays();
                    };
                    {
                        float scores[KEYS / 2];
                        multiplyScores(scores);
                        products_wait<0>();
                        products_use(scores);
                        weigh(scores);
                        takeNext();
                        pack(scores);
                    }
                    for (int n = 1; n < tileCountHere - 1; ++n) {
                        float scores[KEYS / 2];
                        multiplyScores(scores);
                        multiplyValues(previous.stage);
                        products_wait<1>();
                        products_use(scores);
                        weigh(scores);
                        // Its wait keeps the weighing before the next one, so that products are under way beside it.
                        const RingPosition<STAGES> before = previous;
                        takeNext();
                        products_wait<0>();
                        ring.release(before, lane);
                        pack(scores);
                    }
                }
                // The tile of the warpgroup's own keys. Where there is none before, all weights of that are zero.
                float scores[KEYS / 2];
                multiplyScores(scores);
                multiplyValues(previous.stage);
                products_wait<1>();
                products_use(scores);
                const int ownFirst = item.chunkStart + (tileCountHere - 1) * KEYS - groupFirst;
                // The row's last column that it sees.
                const int lastColumns[2] = {16 * warp + g - 2 * t - ownFirst, 16 * warp + 8 + g - 2 * t - ownFirst};
                auto weighOwn = [&](auto weight) {
#pragma unroll
                    for (int n = 0; n < KEYS / 2; ++n) {
                        const int column = n / 4 * 8 + n % 2;
                        const float own = weight(n, column + 2 * t);
                        scores[n] = column <= lastColumns[n / 2 % 2] ? own : 0;
                    }
                };
#if GATED
                const float2 *stageGates = keyGates + position.stage * KEYS;
                const float rowDecays[2] = {decay(rowGates[0], baseGate), decay(rowGates[1], baseGate)};
                if (decay_exponent(baseGate, stageGates[KEYS - 1]) <= MILD_EXPONENT) {
                    weigh(scores);
                    weighOwn([&](int n, int) { return scores[n] * rowDecays[n / 2 % 2]; });
                } else {
                    weighOwn([&](int n, int column) {
                        return power(scores[n]) * seen_decay(rowGates[n / 2 % 2], stageGates[column]);
                    });
                }
#else
                weighOwn([&](int n, int) { return power(scores[n]); });
#endif
                products_wait<0>();
                products_use(sums);
                if (tileCountHere > 1) ring.release(previous, lane);
#if GATED
                // What was summed so far has decayed to the first query of the warpgroup only.
#pragma unroll
                for (int n = 0; n < COLUMNS / 2; ++n) sums[n] *= rowDecays[n / 2 % 2];
#endif
                pack(scores);
                multiplyValues(position.stage);
#if TRIES_GIVEN_ROWS
                // Of a quarter of the warpgroup's keys and queries, while products are under way.
                unsigned largest[4] = {};
                measure_rows<KEYS, KEYS / 4>(largest, stages + position.stage * STAGE, KEYS / 4 * warp, lane);
                measure_rows<ROWS, 16>(largest, tile, 16 * warp, lane);
#endif
                products_wait<0>();
                products_use(sums);
                ring.release(position, lane);
                position.advance();
                // Tiles that only other warpgroups see.
                for (int n = tileCountHere; n < allTiles; ++n) ring.skip(position, lane);

#if TRIES_GIVEN_ROWS
                if (needsScaling != nullptr && are_large(largest)) *needsScaling = 1;
#endif
                const int firstRow = groupFirst + 16 * warp;
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const int token = firstRow + 8 * half + g;
                    const float total = __shfl_sync(~0u, sums[COLUMNS / 2 - 4 + 2 * half], lane & ~3);
                    const size_t place = static_cast<size_t>(min(token, end - 1)) * queryHeads + item.head;
#if NORMALIZED
                    const RowScale<float> rowScale(total);
                    const float statistic = rowScale.statistic;
                    if (rowScale.lift != 1) {
#pragma unroll
                        for (int n = 0; n < VALUE_WIDTH / 4; ++n) sums[n / 2 * 4 + 2 * half + n % 2] *= rowScale.lift;
                    }
#else
                    const int exponent = scaleExponent
                        + DEGREE * (queryExponents[place] + keyExponents[static_cast<size_t>(item.chunk) * keyHeads + item.keyHead]);
                    const float statistic = unnormalized_statistic(scale, exponent);
#endif
                    if (t == 0 && token < end) {
                        statistics[place] = statistic;
#if TRIES_GIVEN_ROWS
                        if (needsScaling != nullptr) {
                            queryExponents[place] = 0;
                            const int row = 16 * warp + 8 * half + g;
                            if (!is_ordinary(total) && !(total == 0 && is_zero_row<ROWS, WIDTH>(tile, row))) *needsScaling = 1;
                        }
#endif
                    }
#pragma unroll
                    for (int n = 0; n < VALUE_WIDTH / 4; ++n) {
                        float &sum = sums[n / 2 * 4 + 2 * half + n % 2];
#if NORMALIZED
                        sum *= rowScale.factor;
#else
                        sum = ldexpf(sum * scale, exponent);
#endif
                    }
                    if (exact == nullptr || token >= end) continue;
#pragma unroll
                    for (int n = 0; n < VALUE_WIDTH / 8; ++n) {
                        const int column = n * 8 + 2 * t;
                        float *pair = exact + place * valueWidth + column;
                        if (valueWidth == VALUE_WIDTH) {
                            *reinterpret_cast<float2 *>(pair) = make_float2(sums[4 * n + 2 * half], sums[4 * n + 2 * half + 1]);
                            continue;
                        }
                        if (column < valueWidth) pair[0] = sums[4 * n + 2 * half];
                        if (column + 1 < valueWidth) pair[1] = sums[4 * n + 2 * half + 1];
                    }
                }
                if (y != nullptr) {
                    // By way of the warp's queries, which no product reads any more.
                    if constexpr (!QUERIES_STAY) named_barrier<128>(1 + group);
                    store_rows<VALUE_WIDTH>(
                        queries + queryPosition.stage * QUERY_TILE + 64 * (SET_ROWS * set + 64 * group + 16 * warp),
                        reinterpret_cast<const float (&)[VALUE_WIDTH / 2]>(sums),
                        y + (static_cast<size_t>(firstRow) * queryHeads + item.head) * valueWidth, static_cast<size_t>(queryHeads) * valueWidth,
                        end - firstRow, valueWidth, lane);
                }
#if ROW_SETS > 1
#pragma unroll
                for (int n = 0; n < COLUMNS / 2; ++n) sums[n] = setSums[1][n];
#endif
            }
            arrive_warp(queriesEmpty + queryPosition.stage, lane);
            queryPosition.advance();
        }
    }
}
