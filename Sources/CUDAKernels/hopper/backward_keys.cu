// attention/backward_keys.cu for Hopper: the same gradients, from products of warpgroups.
//
// A block stays on its multiprocessor and takes one tile of keys and values of one key head after another. Where blocks of state_update.cu
// leave it one, it starts beside them, and waits for a gradient of a state when it needs it. One warpgroup brings tiles of the gradient of
// the state, then of queries and of gradients of outputs, to a ring of stages; GROUPS warpgroups of 64 keys each multiply. Scores and their
// gradients are products [keys, queries], so that the weights become the operand of the next products in registers. While a warpgroup
// weighs a tile, its products of the tile before are under way.
//
// The tiles of queries come from the last of the chunk to the first that sees a key, those of all heads of the group at each place. What is
// summed has decayed to the last key of the warpgroup, until its own tiles come, the last ones.
//
// Grid: as many blocks as fit. Shared memory: KEY_TILES of keys [ROWS, WIDTH] and values [ROWS, VALUE_WIDTH]; STAGES of queries [QUERIES,
// WIDTH] and ∂y [QUERIES, VALUE_WIDTH] or of states, up to degree 2 parts of symmetric ones, else [FEATURES, VALUE_WIDTH + 8], all in
// panels; with states WAITING_SUMS floats a warp of ∂k of the state, above degree 2 all of it; factors and offsets of every warp's tile of
// queries [QUERIES] float2; WORDS words of features, and pairs of keys; KEY_TILES of gates [ROWS + 2] float2, after those of the keys that of the chunk's end;
// STAGES of gates float2, offsets and statistics float [QUERIES]; barriers, and KEY_TILES items.
//
// Rows of dk stand as those of dq do: see backward_queries.cu.
#include "common/decay.cuh"
#include "common/exponents.cuh"
#include "common/output.cuh"
#include "hopper/feature_keys.cuh"
#include "hopper/features.cuh"
#include "hopper/key_item.cuh"
#include "hopper/linear_keys.cuh"
#include "hopper/queue.cuh"
#include "hopper/stored_rows.cuh"
#include "hopper/symmetric_keys.cuh"
#include "hopper/turned_row.cuh"

constexpr int THREADS = 128 * (GROUPS + 1);
constexpr int KEY_TILE = panel_numbers(ROWS, WIDTH) + panel_numbers(ROWS, VALUE_WIDTH);
constexpr int QUERY_TILE = panel_numbers(QUERIES, WIDTH);
constexpr int QUERY_STAGE = QUERY_TILE + panel_numbers(QUERIES, VALUE_WIDTH);
constexpr int STAGE = STATES && STATE_STAGE > QUERY_STAGE ? STATE_STAGE : QUERY_STAGE;
// Two for the last of the chunk: what follows stands at multiples of 16 bytes.
constexpr int KEY_GATES = ROWS + 2;
// Whether keys stay in registers as the left operand of scores, which leaves shared memory half of their reads: where there is room, beside what
// a state of features takes.
constexpr bool KEYS_STAY = WIDTH + VALUE_WIDTH <= 128 && !(STATES && DEGREE > 2 && GROUPS == 3 && QUERIES == 64);
// Whether registers are few: beside sums of wide rows and what a state gives.
#if STATES && DEGREE <= 2
constexpr bool ARE_FEW = WINDOWS > 1 || WIDTH + VALUE_WIDTH > 128;
#else
constexpr bool ARE_FEW = false;
#endif
// Beside two groups two more sums take more registers than the consumers of other kernels have, and more yet beside a state.
constexpr int PRODUCER_REGISTERS = ARE_FEW ? 40 : GROUPS == 2 ? 72 : producer_registers(GROUPS);
constexpr int CONSUMER_REGISTERS = ARE_FEW ? 232 : GROUPS == 2 ? 216 : consumer_registers(GROUPS);
static_assert(!ARE_FEW || GROUPS == 2, "rows are wide");

// What the producer knows of its item: a copy, or, where registers are few, where to read it.
template <bool areFew>
struct ProducerItem {
    using Type = const KeyItem;
};
template <>
struct ProducerItem<true> {
    using Type = const KeyItem &;
};

static_assert(share_registers(GROUPS, PRODUCER_REGISTERS, CONSUMER_REGISTERS), "registers for all");
static_assert(MATH == 0 && INPUT == 2, "rows in bfloat16");
static_assert(DEGREE > 0, "powers only");
static_assert(GROUPS == 2 || GROUPS == 3, "registers are shared out for two or three");
static_assert(QUERIES == 32 || QUERIES == 64, "the keys of a warpgroup are the queries of whole tiles");
static_assert(FEATURES == 64, "four blocks of features a stage");
static_assert(KEY_TILES == 1 || KEY_TILES == 2, "one tile of keys in use, and one under way at most");

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_backward_keys(
    const elem *givenQ, const elem *givenK, const elem *scaledQ, const elem *scaledK, const int *__restrict__ isScaled,
    const elem *__restrict__ v, const elem *__restrict__ dy,
    const float *__restrict__ offsets, const float *__restrict__ statistics, const float2 *__restrict__ gates,
    const int *__restrict__ firstVisible, const elem *__restrict__ states, const unsigned *__restrict__ blocks,
    const int *__restrict__ keyExponents, const int4 *__restrict__ tiles, const int4 *__restrict__ chunks, input *__restrict__ dk,
    input *__restrict__ dv, int valueStride, float *__restrict__ columnSums, int tokens, int queryHeads, int keyHeads, int width,
    int valueWidth, int blockCount, int hasFinalGradient, int window, float scale, float gradientScale, int tileCount, int *taken,
    int stride, const float *__restrict__ cosines, const float *__restrict__ sines, int length, const int *stored, int storedCount
) {
    extern __shared__ __align__(1024) unsigned char memory[];
    elem *keyTiles = reinterpret_cast<elem *>(memory);
    elem *stages = keyTiles + KEY_TILES * KEY_TILE;
    float *waitingSums = reinterpret_cast<float *>(stages + STAGES * STAGE);
    float2 *columns = reinterpret_cast<float2 *>(waitingSums + (STATES ? 4 * GROUPS * WAITING_SUMS : 0));
    uint4 *sharedWords = reinterpret_cast<uint4 *>(columns + 4 * GROUPS * QUERIES);
    unsigned *pairs = reinterpret_cast<unsigned *>(sharedWords + WORDS / 4);
    float2 *keyGates = reinterpret_cast<float2 *>(pairs + ROWS / 16 * PAIR_WORDS);
    float2 *queryGates = keyGates + KEY_TILES * KEY_GATES;
    float *queryOffsets = reinterpret_cast<float *>(queryGates + STAGES * QUERIES);
    float *queryStatistics = queryOffsets + STAGES * QUERIES;
    unsigned long long *barriers = reinterpret_cast<unsigned long long *>(queryStatistics + STAGES * QUERIES);
    unsigned long long *keysEmpty = barriers;
    Ring<STAGES, GROUPS> ring(barriers + KEY_TILES);
    unsigned long long *queueBarriers = barriers + KEY_TILES + 2 * STAGES;
    const ItemQueue<KEY_TILES, KeyItem> queue(reinterpret_cast<KeyItem *>(queueBarriers + KEY_TILES), queueBarriers);

    const int index = thread_index(), thread = index % 128, group = warpgroup_index() - 1;
    const int itemCount = tileCount * keyHeads, members = queryHeads / keyHeads;
#if STATES && DEGREE > 2
    const FeatureStages stateStages(blockCount);
#endif

    if (index == 0) {
        for (int n = 0; n < KEY_TILES; ++n) barrier_init(keysEmpty + n, 4 * GROUPS);
        ring.initialize();
        queue.initialize();
    }
#if STATES && DEGREE > 2
    const uint4 *words = share_words(blocks, stateStages.count, sharedWords, index, THREADS);
#endif
    __syncthreads();

    if (group < 0) {
        lower_registers<PRODUCER_REGISTERS>();
        const elem *q = choose_rows(givenQ, scaledQ, isScaled, 0), *k = choose_rows(givenK, scaledK, isScaled, 1);
        RingPosition<STAGES> position;
        RingPosition<KEY_TILES> keyPosition;
        ItemQueue<KEY_TILES, KeyItem>::Taker taker(queue, taken, thread);
        // Where registers are few, what follows from the thread's index is made anew by whoever needs it, for few copies at once.
        constexpr bool copiesFew = ARE_FEW || (DEGREE > 2 && GROUPS == 2);
        auto copyThread = [&] { return ARE_FEW ? static_cast<int>(thread_index() % 128) : thread; };
        for (;;) {
            barrier_wait(keysEmpty + keyPosition.stage, keyPosition.parity ^ 1);
            ProducerItem<ARE_FEW>::Type item = taker.take(keyPosition, thread, [&](int index) {
                return KeyItem(index, itemCount, tiles, chunks, keyExponents, keyHeads, hasFinalGradient);
            });
            if (item.count == 0) break;
            const size_t keyRow = static_cast<size_t>(item.firstToken) * keyHeads + item.head;
#if GATED
            const float2 *headGates = gates + static_cast<size_t>(item.head) * tokens;
#endif
            // They arrive with the first stage.
            {
                const int thread = copyThread();
                elem *keys = keyTiles + keyPosition.stage * KEY_TILE, *values = keys + panel_numbers(ROWS, WIDTH);
                copy_panels<ROWS, WIDTH / 8, copiesFew>(keys, k + keyRow * WIDTH, static_cast<size_t>(keyHeads) * WIDTH, item.count, thread);
                copy_panels<ROWS, VALUE_WIDTH / 8, copiesFew>(
                    values, v + keyRow * VALUE_WIDTH, static_cast<size_t>(keyHeads) * VALUE_WIDTH, item.count, thread);
#if GATED
                float2 *tileGates = keyGates + keyPosition.stage * KEY_GATES;
                for (int n = thread; n < ROWS; n += 128)
                    copy_few<8>(tileGates + n, headGates + item.firstToken + min(n, item.count - 1), true);
                if (thread == 0) copy_few<8>(tileGates + ROWS, headGates + item.chunkEnd - 1, true);
#endif
            }
            keyPosition.advance();
#if STATES
            if (item.hasState) {
                const size_t number = static_cast<size_t>(item.chunk) * keyHeads + item.head;
                if (stored != nullptr) wait_for_count(stored + number, storedCount);
#if DEGREE <= 2
                const elem *state = states + number * STATE_NUMBERS;
                copy_state_gradient<STAGE>(ring, position, stages, state, copyThread(), NORMALIZED || hasFinalGradient);
#else
                stateStages.copy<STAGE>(ring, position, stages, states, number, [&] { return thread; });
#endif
            }
#endif
            for (int place = item.places - 1; place >= 0; --place)
                for (int member = 0; member < members; ++member) {
                    const int stage = ring.begin(position), thread = copyThread();
                    const int first = item.firstToken + place * QUERIES, count = item.chunkEnd - first;
                    const size_t row = static_cast<size_t>(first) * queryHeads + item.head * members + member;
                    elem *queries = stages + stage * STAGE;
                    copy_panels<QUERIES, WIDTH / 8, copiesFew>(queries, q + row * WIDTH, static_cast<size_t>(queryHeads) * WIDTH, count, thread);
                    copy_panels<QUERIES, VALUE_WIDTH / 8, copiesFew>(
                        queries + QUERY_TILE, dy + row * VALUE_WIDTH, static_cast<size_t>(queryHeads) * VALUE_WIDTH, count, thread);
                    if (thread < QUERIES) {
                        const int valid = min(thread, count - 1);
                        const size_t number = row + static_cast<size_t>(valid) * queryHeads;
                        copy_few<4>(queryOffsets + stage * QUERIES + thread, offsets + number, thread < count);
                        copy_few<4>(queryStatistics + stage * QUERIES + thread, statistics + number, true);
#if GATED
                        copy_few<8>(queryGates + stage * QUERIES + thread, headGates + first + valid, true);
#endif
                    }
                    ring.end(position);
                }
        }
        finish_copies();
        wait_for_previous_kernel();
    } else {
        raise_registers<CONSUMER_REGISTERS>();
        RingPosition<STAGES> position;
        RingPosition<KEY_TILES> keyPosition;
        for (;;) {
            // Read where it is needed: registers are few.
            const KeyItem &item = queue.read(keyPosition);
            if (item.count == 0) break;
            const elem *keyTile = keyTiles + keyPosition.stage * KEY_TILE;
            const float2 *tileGates = keyGates + keyPosition.stage * KEY_GATES;
            ring.wait_full(position);
            float valueSums[VALUE_WIDTH / 2] = {}, keySums[WIDTH / 2] = {};

            // The gradient of the state after the chunk.
#if STATES
            {
                const Place at;
                const elem *keys = keyTile + 64 * 64 * group, *values = keys + panel_numbers(ROWS, WIDTH);
#if DEGREE <= 2
                multiply_state_gradient<STAGE>(
                    keySums, valueSums, waitingSums, ring, position, stages, keys, values, at,
                    item.hasState, NORMALIZED || hasFinalGradient);
#else
                const RowFeatures<ROWS> features(keys + 64 * 16 * at.warp, pairs + (4 * group + at.warp) * PAIR_WORDS, at.lane);
                const GradientTile gradient(waitingSums + (4 * group + at.warp) * WAITING_SUMS, at.lane);
                gradient.clear();
                const int count = item.hasState ? stateStages.count : 0;
                multiply_state_gradient<STAGE>(
                    gradient, features, valueSums, ring, position, stages, values, words, at, count, hasFinalGradient);
#endif
                auto scaleSums = [&](float factor) {
#pragma unroll
                    for (int n = 0; n < VALUE_WIDTH / 2; ++n) valueSums[n] *= factor;
#pragma unroll
                    for (int n = 0; DEGREE <= 2 && n < WIDTH / 2; ++n) keySums[n] *= factor;
                };
#if GATED
                scaleSums(decay(tileGates[ROWS], tileGates[64 * group + 63]));
#else
                // Sums that are multiplied may go to other registers, which saves some from being spilled.
                if constexpr (ARE_FEW) scaleSums(unknown_one());
#endif
            }
#endif

            // The queries of the chunk from the warpgroup's first key on; a warpgroup without keys multiplies nothing.
            {
                const Place at;
                const elem *keys = keyTile + 64 * 64 * group;
                const LeftRows<WIDTH, ROWS, KEYS_STAY> own(keys, at.warp, at.lane);
                constexpr int ownPlaces = 64 / QUERIES;
                const int laterCount = max(item.places - ownPlaces * (group + 1), 0) * members;
                // Weights and gradients of scores of the tile at `position`, as operands of their products with ∂y and queries.
                unsigned weights[QUERIES / 16][4], scoreGradients[QUERIES / 16][4];
                auto multiplyKeys = [&](float (&scores)[QUERIES / 2]) {
                    const unsigned long long columns = panel_advance(panel_descriptor(stages, QUERIES, false), position.stage * STAGE);
                    products_begin();
                    own.multiply(scores, columns);
                    products_commit();
                };
                auto multiplyValues = [&](float (&products)[QUERIES / 2]) {
                    const unsigned long long rows = panel_advance(panel_descriptor(keys, ROWS, false), panel_numbers(ROWS, WIDTH));
                    const unsigned long long columns =
                        panel_advance(panel_descriptor(stages, QUERIES, false), position.stage * STAGE + QUERY_TILE);
                    products_begin();
#pragma unroll
                    for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth)
                        multiply_group<false>(
                            products, panel_advance(rows, panel_offset(0, 16 * depth, ROWS)),
                            panel_advance(columns, panel_offset(0, 16 * depth, QUERIES)), depth > 0);
                    products_commit();
                };
                auto multiplyRows = [&](int stage) {
                    const unsigned long long queryRows = panel_advance(panel_descriptor(stages, QUERIES, true), stage * STAGE);
                    const unsigned long long outputRows = panel_advance(queryRows, QUERY_TILE);
                    products_begin();
#pragma unroll
                    for (int depth = 0; depth < QUERIES / 16; ++depth)
                        multiply_group<true>(valueSums, weights[depth], panel_advance(outputRows, panel_offset(16 * depth, 0, QUERIES)), true);
#pragma unroll
                    for (int depth = 0; depth < QUERIES / 16; ++depth)
                        multiply_group<true>(keySums, scoreGradients[depth], panel_advance(queryRows, panel_offset(16 * depth, 0, QUERIES)), true);
                    products_commit();
                };
                // Factor and offset of every query of the tile at `position`, for the lanes of the warp: with the decay since the last key of the
                // warpgroup, and without the sign of a normalized row's factor, which says that it sees one key only, its own.
                auto loadColumns = [&](bool hasDecay, bool hasSign) {
#if GATED
                    const float2 baseGate = tileGates[64 * group + 63];
#endif
                    float2 *warpColumns = columns + (4 * group + at.warp) * QUERIES;
                    __syncwarp();
#pragma unroll
                    for (int n = at.lane; n < QUERIES; n += 32) {
                        const int place = position.stage * QUERIES + n;
                        float factor = queryStatistics[place];
                        if (NORMALIZED && !hasSign) factor = fabsf(factor);
#if GATED
                        if (hasDecay) factor *= decay(queryGates[place], baseGate);
#endif
                        warpColumns[n] = make_float2(factor, queryOffsets[place]);
                    }
                    __syncwarp();
                };
                // A score becomes the weight a_ij, the other product the gradient of the score over p.
                auto weighOne = [&](float &score, float &product, float factor, float offset) {
                    float slope = factor;
#pragma unroll
                    for (int n = 1; n < DEGREE; ++n) slope *= score;
                    score *= slope;
                    product = (product + offset) * slope;
                };
                // The same for queries that see all keys of the warpgroup.
                auto weigh = [&](float (&scores)[QUERIES / 2], float (&products)[QUERIES / 2]) {
                    const float2 *warpColumns = columns + (4 * group + at.warp) * QUERIES;
#pragma unroll
                    for (int n = 0; n < QUERIES / 8; ++n) {
                        const float4 two = *reinterpret_cast<const float4 *>(warpColumns + 8 * n + 2 * at.t);
#pragma unroll
                        for (int half = 0; half < 2; ++half) {
                            weighOne(scores[4 * n + 2 * half], products[4 * n + 2 * half], two.x, two.y);
                            weighOne(scores[4 * n + 2 * half + 1], products[4 * n + 2 * half + 1], two.z, two.w);
                        }
                    }
                };
                auto pack = [&](const float (&scores)[QUERIES / 2], const float (&products)[QUERIES / 2]) {
#pragma unroll
                    for (int depth = 0; depth < QUERIES / 16; ++depth) {
                        make_operand(weights[depth], scores, 8 * depth);
                        make_operand(scoreGradients[depth], products, 8 * depth);
                    }
                };
                // Multiplies the rows of the tile at `position`, and goes on to the next.
                auto finishTile = [&] {
                    multiplyRows(position.stage);
                    products_wait<0>();
                    products_use(valueSums);
                    products_use(keySums);
                    ring.release(position, at.lane);
                    position.advance();
                };
                if (laterCount > 0) {
                    {
                        float scores[QUERIES / 2], products[QUERIES / 2];
                        ring.wait_full(position);
                        loadColumns(true, false);
                        multiplyKeys(scores);
                        multiplyValues(products);
                        products_wait<0>();
                        products_use(scores);
                        products_use(products);
                        weigh(scores, products);
                        pack(scores, products);
                    }
                    for (int left = laterCount - 1; left > 0; --left) {
                        float scores[QUERIES / 2], products[QUERIES / 2];
                        const RingPosition<STAGES> previous = position;
                        position.advance();
                        ring.wait_full(position);
                        multiplyKeys(scores);
                        multiplyValues(products);
                        multiplyRows(previous.stage);
                        loadColumns(true, false);
                        products_wait<1>();
                        products_use(scores);
                        products_use(products);
                        weigh(scores, products);
                        // The compiler keeps operands in place until here only: those of the next turn would overwrite them.
                        products_wait<0>();
                        ring.release(previous, at.lane);
                        pack(scores, products);
                    }
                    finishTile();
                }
                float rowDecays[2] = {1, 1};
                bool isMild = true;
#if GATED
                // What was summed so far has decayed to the last key of the warpgroup only.
                {
                    const Place at;
                    const float2 *groupGates = tileGates + 64 * group;
                    isMild = decay_exponent(groupGates[0], groupGates[63]) <= MILD_EXPONENT;
#pragma unroll
                    for (int half = 0; half < 2; ++half) rowDecays[half] = decay(groupGates[63], groupGates[16 * at.warp + 8 * half + at.g]);
                }
#pragma unroll
                for (int n = 0; n < VALUE_WIDTH / 2; ++n) valueSums[n] *= rowDecays[n / 2 % 2];
#pragma unroll
                for (int n = 0; n < WIDTH / 2; ++n) keySums[n] *= rowDecays[n / 2 % 2];
#endif
                // The tiles of the warpgroup's own queries.
                for (int first = (min(item.places - ownPlaces * group, ownPlaces) - 1) * QUERIES; first >= 0; first -= QUERIES)
                for (int member = 0; member < members; ++member) {
                    float scores[QUERIES / 2], products[QUERIES / 2];
                    ring.wait_full(position);
                    loadColumns(isMild, true);
                    multiplyKeys(scores);
                    multiplyValues(products);
                    products_wait<0>();
                    products_use(scores);
                    products_use(products);
                    const Place at;
                    const float2 *warpColumns = columns + (4 * group + at.warp) * QUERIES;
                    const int lead = 16 * at.warp + at.g - 2 * at.t - first;
                    auto weighOwn = [&](auto rowFactor) {
#pragma unroll
                        for (int n = 0; n < QUERIES / 8; ++n) {
                            const int place = 8 * n + 2 * at.t;
                            const float4 two = *reinterpret_cast<const float4 *>(warpColumns + place);
#pragma unroll
                            for (int c = 0; c < 4; ++c) {
                                // By how much the key is further on than the query.
                                const int ahead = lead + 8 * (c / 2) - 8 * n - c % 2;
                                const bool isCausal = ahead <= 0;
                                const float statistic = c % 2 ? two.z : two.x;
                                const float size = NORMALIZED ? fabsf(statistic) : statistic;
                                const float factor = isCausal ? size * rowFactor(place + c % 2, c / 2) : 0;
                                weighOne(scores[4 * n + c], products[4 * n + c], factor, c % 2 ? two.w : two.y);
                                // A normalized row of one weight does not depend on it; what rounding leaves of that would be divided by the
                                // score.
                                if (NORMALIZED && ahead == 0 && statistic < 0) products[4 * n + c] = 0;
                            }
                        }
                    };
                    if (isMild) {
                        weighOwn([&](int, int half) { return rowDecays[half]; });
                    } else {
                        const float2 *stageGates = queryGates + position.stage * QUERIES;
                        const float2 *rowGates = tileGates + 64 * group + 16 * at.warp + at.g;
                        weighOwn([&](int query, int half) { return seen_decay(stageGates[query], rowGates[8 * half]); });
                    }
                    pack(scores, products);
                    finishTile();
                }
                // Tiles that only other warpgroups' keys are seen by.
                for (int n = min(item.places, ownPlaces * group) * members; n > 0; --n) ring.skip(position, at.lane);
            }

            // The rows leave by way of the warpgroup's keys and values, which no product reads any more.
            named_barrier<128>(1 + group);
            {
                const Place at;
                elem *keys = keyTiles + keyPosition.stage * KEY_TILE + 64 * (64 * group + 16 * at.warp);
                const int firstRow = 64 * group + 16 * at.warp, count = item.count - firstRow, head = item.head;
                const size_t firstToken = item.firstToken + firstRow;
                store_rows<VALUE_WIDTH>(
                    keys + panel_numbers(ROWS, WIDTH), valueSums, dv + firstToken * valueStride + head * valueWidth, valueStride, count,
                    valueWidth, at.lane);
#if STATES && DEGREE > 2
                const GradientTile gradient(waitingSums + (4 * group + at.warp) * WAITING_SUMS, at.lane);
#endif
                // The gradient of a key scaled by 2^−exponent.
                const float unit = power_of_two(-item.exponent);
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const int row = 8 * half + at.g;
                    const size_t token = firstToken + min(row, count - 1);
#if STATES && GATED && DEGREE > 2
                    const float stateDecay = decay(tileGates[ROWS], tileGates[firstRow + row]);
#elif STATES && DEGREE > 2
                    const float stateDecay = 1;
#endif
                    float product = 0;
#pragma unroll
                    for (int n = 0; n < WIDTH / 8; ++n) {
                        const int column = n * 8 + 2 * at.t;
                        const unsigned key = *reinterpret_cast<const unsigned *>(keys + panel_place(row, column, ROWS));
                        float *pair = keySums + 4 * n + 2 * half;
                        float left = DEGREE * pair[0], right = DEGREE * pair[1];
#if STATES && DEGREE > 2
                        left += stateDecay * gradient.number(row, column), right += stateDecay * gradient.number(row, column + 1);
#endif
                        product += left * low_bfloat16(key) + right * high_bfloat16(key);
                        pair[0] = left * unit, pair[1] = right * unit;
                    }
                    const size_t angles = static_cast<size_t>(static_cast<unsigned>(token) % length) * (WIDTH / 2);
                    if (cosines != nullptr) turn_back(keySums, half, cosines + angles, sines + angles, at.t);
                    // What the weights of the column take from the gradient of its gate, as Euler gives it for a power.
                    product = row_sum(product);
                    if (columnSums != nullptr && row < count && at.t == 0) columnSums[token * keyHeads + head] = product / DEGREE;
                }
                store_rows<WIDTH>(keys, keySums, dk + firstToken * stride + head * width, stride, count, width, at.lane);
                arrive_warp(keysEmpty + keyPosition.stage, at.lane);
            }
            keyPosition.advance();
        }
    }
}
