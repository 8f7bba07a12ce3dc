// attention/backward_queries.cu for Hopper: the same gradients, offsets and sums of rows, from products of warpgroups.
//
// A block stays on its multiprocessor and takes one tile of queries of one head after another. One warpgroup brings tiles of the state and
// of keys and values to a ring of stages; GROUPS warpgroups of 64 queries each multiply. The products of a tile of keys are under way while
// a warpgroup weighs the scores of another.
//
// Grid: as many blocks as fit. Shared memory: QUERY_STAGES tiles of queries [ROWS, WIDTH] and of ∂y [ROWS, VALUE_WIDTH], and STAGES of
// states, up to degree 2 parts of symmetric ones, else [FEATURES, VALUE_WIDTH + 8], or of keys [KEYS, WIDTH] and values [KEYS,
// VALUE_WIDTH], all in panels; with states above degree 2 ∂q of the state, STATE_GRADIENT_TILE floats a warp; gates of the tiles of queries [ROWS]
// float2; STAGES of log-gates [KEYS] float2 and decays [KEYS] float; offsets and statistics [ROWS] float2; with states WORDS words of
// features, and pairs of queries; barriers, and QUERY_STAGES items.
//
// Rows of dq of a token begin `stride` numbers after those of the one before, and are turned back by row `token mod length` of the angles
// where there are any.
#include "common/decay.cuh"
#include "common/exponents.cuh"
#include "common/output.cuh"
#include "hopper/feature_queries.cuh"
#include "hopper/features.cuh"
#include "hopper/column_numbers.cuh"
#include "hopper/item.cuh"
#include "hopper/queue.cuh"
#include "hopper/stored_rows.cuh"
#include "hopper/symmetric_queries.cuh"
#include "hopper/turned_row.cuh"

constexpr int ROWS = 64 * GROUPS;
constexpr int THREADS = 128 * (GROUPS + 1);
constexpr int KEY_TILE = panel_numbers(KEYS, WIDTH);
constexpr int VALUE_TILE = panel_numbers(KEYS, VALUE_WIDTH);
constexpr int STAGE = STATES && STATE_STAGE > KEY_TILE + VALUE_TILE ? STATE_STAGE : KEY_TILE + VALUE_TILE;
// The tiles of one warpgroup.
constexpr int QUERY_TILE = panel_numbers(64, WIDTH);
constexpr int GRADIENT_TILE = panel_numbers(64, VALUE_WIDTH);
// Beside sums of wide rows, products with a state take more registers than the consumers of other kernels have.
constexpr int PRODUCER_REGISTERS = GROUPS == 2 ? 56 : producer_registers(GROUPS);
constexpr int CONSUMER_REGISTERS = GROUPS == 2 ? 224 : consumer_registers(GROUPS);
static_assert(share_registers(GROUPS, PRODUCER_REGISTERS, CONSUMER_REGISTERS), "registers for all");
static_assert(MATH == 0 && INPUT == 2, "rows in bfloat16");
static_assert(DEGREE > 0, "powers only");
static_assert(GROUPS == 2 || GROUPS == 3, "registers are shared out for two or three");
static_assert(KEYS == 64, "the queries of a warpgroup are the keys of one tile");
static_assert(FEATURES == 64, "four blocks of features a stage");
static_assert(STAGES >= 2, "a warpgroup holds one stage while it waits for another");
static_assert(!OFFSETS || NORMALIZED, "offsets are of normalized rows");

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_backward_queries(
    const elem *givenQ, const elem *givenK, const elem *scaledQ, const elem *scaledK, const int *__restrict__ isScaled,
    const elem *__restrict__ v, const elem *__restrict__ dy,
    float *__restrict__ offsets, float *__restrict__ statistics, const float2 *__restrict__ gates,
    const int *__restrict__ firstVisible, const elem *__restrict__ states, const unsigned *__restrict__ blocks, const int *__restrict__ queryExponents,
    const int4 *__restrict__ tiles, const int4 *__restrict__ chunks, input *__restrict__ dq, float *__restrict__ rowSums, int tokens,
    int queryHeads, int keyHeads, int width, int blockCount, int hasInitialState, int window, float scale, float gradientScale,
    const float *__restrict__ exact, const float *__restrict__ decays, int tileCount, int *taken, int stride,
    const float *__restrict__ cosines, const float *__restrict__ sines, int length
) {
    extern __shared__ __align__(1024) unsigned char memory[];
    elem *queries = reinterpret_cast<elem *>(memory);
    elem *gradients = queries + QUERY_STAGES * GROUPS * QUERY_TILE;
    elem *stages = gradients + QUERY_STAGES * GROUPS * GRADIENT_TILE;
    float *stateGradients = reinterpret_cast<float *>(stages + STAGES * STAGE);
    float2 *queryGates = reinterpret_cast<float2 *>(stateGradients + (STATES && DEGREE > 2 ? 4 * GROUPS * STATE_GRADIENT_TILE : 0));
    float2 *keyGates = queryGates + QUERY_STAGES * ROWS;
    float *keyDecays = reinterpret_cast<float *>(keyGates + STAGES * KEYS);
    float2 *rowScales = reinterpret_cast<float2 *>(keyDecays + STAGES * KEYS);
    uint4 *sharedWords = reinterpret_cast<uint4 *>(rowScales + ROWS);
    unsigned *pairs = reinterpret_cast<unsigned *>(sharedWords + WORDS / 4);
    unsigned long long *barriers = reinterpret_cast<unsigned long long *>(pairs + ROWS / 16 * PAIR_WORDS);
    unsigned long long *queriesEmpty = barriers;
    Ring<STAGES, GROUPS> ring(barriers + QUERY_STAGES);
    unsigned long long *queueBarriers = barriers + QUERY_STAGES + 2 * STAGES;
    const ItemQueue<QUERY_STAGES, Item> queue(reinterpret_cast<Item *>(queueBarriers + QUERY_STAGES), queueBarriers);

    const int index = thread_index();
    const int itemCount = tileCount * queryHeads;
#if STATES && DEGREE > 2
    const FeatureStages stateStages(blockCount);
    const uint4 *words = share_words(blocks, stateStages.count, sharedWords, index, THREADS);
#endif

    if (index == 0) {
        for (int n = 0; n < QUERY_STAGES; ++n) barrier_init(queriesEmpty + n, 4 * GROUPS);
        ring.initialize();
        queue.initialize();
    }
    __syncthreads();

    if (index < 128) {
        lower_registers<PRODUCER_REGISTERS>();
        const elem *q = choose_rows(givenQ, scaledQ, isScaled, 0), *k = choose_rows(givenK, scaledK, isScaled, 1);
        RingPosition<STAGES> position;
        RingPosition<QUERY_STAGES> queryPosition;
        ItemQueue<QUERY_STAGES, Item>::Taker taker(queue, taken, thread_index() % 128);
        for (;;) {
            barrier_wait(queriesEmpty + queryPosition.stage, queryPosition.parity ^ 1);
            const Item item = taker.take(queryPosition, thread_index() % 128, [&](int index) {
                return Item(index, itemCount, tiles, chunks, queryHeads, keyHeads, hasInitialState);
            });
            if (item.count == 0) break;
            const int end = item.end();
            const size_t firstRow = static_cast<size_t>(item.firstToken) * queryHeads + item.head;
#if GATED
            const float2 *headGates = gates + static_cast<size_t>(item.keyHead) * tokens;
            const float *headDecays = decays + static_cast<size_t>(item.keyHead) * tokens;
#endif
            // Read again where it is used: what follows from it would take registers from one tile to the next.
            int thread = thread_index() % 128;
            // They arrive with the first stage.
#pragma unroll 1
            for (int part = 0; part < GROUPS; ++part) {
                const int valid = item.count - 64 * part;
                const size_t row = firstRow + static_cast<size_t>(valid > 0 ? 64 * part : 0) * queryHeads;
                const int place = queryPosition.stage * GROUPS + part;
                copy_panels<64, WIDTH / 8>(
                    queries + place * QUERY_TILE, q + row * WIDTH, static_cast<size_t>(queryHeads) * WIDTH, valid, thread);
                copy_panels<64, VALUE_WIDTH / 8>(
                    gradients + place * GRADIENT_TILE, dy + row * VALUE_WIDTH, static_cast<size_t>(queryHeads) * VALUE_WIDTH, valid,
                    thread);
            }
#if OFFSETS
            // Lines of y, which the other warpgroups read once they get to the item.
            constexpr int lines = (VALUE_WIDTH + 31) / 32;
            for (int n = thread; n < item.count * lines; n += 128)
                prefetch(exact + (firstRow + static_cast<size_t>(n / lines) * queryHeads) * VALUE_WIDTH + n % lines * 32);
#endif
#if GATED
            for (int n = thread; n < ROWS; n += 128)
                copy_few<8>(queryGates + queryPosition.stage * ROWS + n, headGates + min(item.firstToken + n, end - 1), true);
#endif
            queryPosition.advance();
#if STATES
            if (item.hasState) {
                const size_t number = static_cast<size_t>(item.chunk) * keyHeads + item.keyHead;
#if DEGREE <= 2
                const elem *state = states + number * STATE_NUMBERS;
                repeat<WINDOWS>([&](auto window) {
                    copy_window<Window<decltype(window)::value>, STAGE>(ring, position, stages, state, thread_index() % 128);
                });
                for (int n = 0; NORMALIZED && n < NORMALIZER_PANELS; ++n)
                    copy_normalizer<STAGE>(ring, position, stages, state, n, thread_index() % 128);
#else
                stateStages.copy<STAGE>(ring, position, stages, states, number, [] { return thread_index() % 128; });
#endif
            }
#endif
            for (int first = item.chunkStart; first < end; first += KEYS) {
                const int stage = ring.begin(position);
                elem *keys = stages + stage * STAGE, *values = keys + KEY_TILE;
                thread = thread_index() % 128;
                const size_t row = static_cast<size_t>(first) * keyHeads + item.keyHead;
                copy_panels<KEYS, WIDTH / 8>(keys, k + row * WIDTH, static_cast<size_t>(keyHeads) * WIDTH, end - first, thread);
                copy_panels<KEYS, VALUE_WIDTH / 8>(
                    values, v + row * VALUE_WIDTH, static_cast<size_t>(keyHeads) * VALUE_WIDTH, end - first, thread);
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
        finish_copies();
    } else {
        raise_registers<CONSUMER_REGISTERS>();
        const int group = warpgroup_index() - 1;
        RingPosition<STAGES> position;
        RingPosition<QUERY_STAGES> queryPosition;
        for (;;) {
            const Item item = queue.read(queryPosition);
            if (item.count == 0) break;
            const int index = thread_index(), warp = index / 32 % 4, lane = index % 32, g = lane / 4;
            const int end = item.end(), groupFirst = item.firstToken + 64 * group, warpFirst = groupFirst + 16 * warp;
            const elem *tile = queries + (queryPosition.stage * GROUPS + group) * QUERY_TILE;
            const elem *gradientTile = gradients + (queryPosition.stage * GROUPS + group) * GRADIENT_TILE;

            // Offsets and statistics of the warp's rows.
            float2 *warpScales = rowScales + 64 * group + 16 * warp;
            {
                // Two lanes a row.
                const int token = warpFirst + lane / 2, read = min(token, end - 1);
                const size_t place = static_cast<size_t>(read) * queryHeads + item.head;
                float statistic = statistics[place];
#if OFFSETS
                // y comes while the rows of ∂y do.
                const float4 *row = reinterpret_cast<const float4 *>(exact + place * VALUE_WIDTH) + lane % 2;
                float4 outputs[VALUE_WIDTH / 8];
#pragma unroll
                for (int n = 0; n < VALUE_WIDTH / 8; ++n) outputs[n] = row[2 * n];
                const bool isFirst = !hasInitialState && (chunks[item.chunk].w & 1);
                if (is_alone(read, item.chunkStart, isFirst, GATED ? gates + static_cast<size_t>(item.keyHead) * tokens : nullptr))
                    statistic = -fabsf(statistic);
                ring.wait_full(position);
                float product = 0;
#pragma unroll
                for (int n = 0; n < VALUE_WIDTH / 8; ++n) {
                    const uint2 gradient = *reinterpret_cast<const uint2 *>(
                        gradientTile + panel_place(16 * warp + lane / 2, 8 * n + lane % 2 * 4, 64));
                    product += outputs[n].x * low_bfloat16(gradient.x) + outputs[n].y * high_bfloat16(gradient.x)
                        + outputs[n].z * low_bfloat16(gradient.y) + outputs[n].w * high_bfloat16(gradient.y);
                }
                const float offset = -(product + __shfl_xor_sync(~0u, product, 1));
                if (lane % 2 == 0 && token < end) offsets[place] = offset, statistics[place] = statistic;
#else
                const float offset = offsets[place];
                ring.wait_full(position);
#endif
                __syncwarp();
                if (lane % 2 == 0) warpScales[lane / 2] = make_float2(offset, statistic);
                __syncwarp();
            }
            const float rowOffsets[2] = {warpScales[g].x, warpScales[8 + g].x};
#if GATED
            const float2 *tileGates = queryGates + queryPosition.stage * ROWS + 64 * group;
#endif
            float sums[WIDTH / 2] = {};

            // The state before the chunk.
#if STATES && DEGREE <= 2
            {
                const int warpRows = 64 * 16 * warp;
                multiply_state<STAGE>(
                    sums, ring, position, stages, tile + warpRows, gradientTile + warpRows, rowOffsets, lane, item.hasState);
#if GATED
                const float factor = DEGREE * decay_from_start(tileGates[0]);
#else
                const float factor = DEGREE;
#endif
#pragma unroll
                for (int n = 0; n < WIDTH / 2; ++n) sums[n] *= factor;
            }
#elif STATES
            {
                const Place at;
                const int warpRows = 64 * 16 * at.warp;
                const RowFeatures<64> features(tile + warpRows, pairs + (4 * group + at.warp) * PAIR_WORDS, at.lane);
                const GradientTile gradient(stateGradients + (4 * group + at.warp) * STATE_GRADIENT_TILE, at.lane);
                gradient.clear();
                if (item.hasState)
                    multiply_state<STAGE>(
                        gradient, features, ring, position, stages, gradientTile + warpRows, rowOffsets, words, at.lane, stateStages.count);
#if GATED
                const float factor = decay_from_start(tileGates[0]);
#else
                const float factor = 1;
#endif
#pragma unroll
                for (int n = 0; n < WIDTH / 2; ++n)
                    sums[n] = factor * gradient.number(at.g + n / 2 % 2 * 8, n / 4 * 8 + 2 * at.t + n % 2);
            }
#endif

            // The keys of the chunk up to the warpgroup's last query; a warpgroup without queries multiplies one tile for nothing.
            const int tileCountHere = groupFirst < end ? (min(groupFirst + 64, end) - item.chunkStart + KEYS - 1) / KEYS : 1;
            const int allTiles = (end - item.chunkStart + KEYS - 1) / KEYS;
            // Weights of the tile at `position`, as the operand of their product with the keys.
            unsigned weights[KEYS / 16][4] = {};
            auto multiplyScores = [&](float (&scores)[KEYS / 2], float (&derivatives)[KEYS / 2]) {
                const elem *keyTile = stages + position.stage * STAGE;
                const unsigned long long rows = panel_descriptor(tile, 64, false);
                const unsigned long long keys = panel_descriptor(keyTile, KEYS, false);
                const unsigned long long gradientRows = panel_descriptor(gradientTile, 64, false);
                const unsigned long long values = panel_descriptor(keyTile + KEY_TILE, KEYS, false);
                products_begin();
#pragma unroll
                for (int depth = 0; depth < WIDTH / 16; ++depth)
                    multiply_group<false>(
                        scores, panel_advance(rows, panel_offset(0, 16 * depth, 64)),
                        panel_advance(keys, panel_offset(0, 16 * depth, KEYS)), depth > 0);
#pragma unroll
                for (int depth = 0; depth < VALUE_WIDTH / 16; ++depth)
                    multiply_group<false>(
                        derivatives, panel_advance(gradientRows, panel_offset(0, 16 * depth, 64)),
                        panel_advance(values, panel_offset(0, 16 * depth, KEYS)), depth > 0);
                products_commit();
            };
            auto multiplyKeys = [&](int stage) {
                const unsigned long long keys = panel_descriptor(stages + stage * STAGE, KEYS, true);
                products_begin();
#pragma unroll
                for (int depth = 0; depth < KEYS / 16; ++depth)
                    multiply_group<true>(sums, weights[depth], panel_advance(keys, panel_offset(16 * depth, 0, KEYS)), true);
                products_commit();
            };
            // Weights of keys that all queries of the warpgroup see, those of the tile at `position`.
            auto weigh = [&](float (&scores)[KEYS / 2], const float (&derivatives)[KEYS / 2]) {
#if GATED
                // p times the decays from a key to the last of its 64, and from that to the first query of the warpgroup.
                float factors[KEYS / 4];
                load_columns(factors, keyDecays + position.stage * KEYS, Place().t);
                const float tileDecay = DEGREE * decay(tileGates[0], keyGates[position.stage * KEYS + KEYS - 1]);
#endif
#pragma unroll
                for (int n = 0; n < KEYS / 2; ++n) {
#if GATED
                    const float factor = factors[n / 4 * 2 + n % 2] * tileDecay;
#else
                    const float factor = DEGREE;
#endif
                    scores[n] = (derivatives[n] + rowOffsets[n / 2 % 2]) * lower_power(scores[n]) * factor;
                }
            };
            auto pack = [&](const float (&scores)[KEYS / 2]) {
#pragma unroll
                for (int depth = 0; depth < KEYS / 16; ++depth) make_operand(weights[depth], scores, 8 * depth);
            };
            RingPosition<STAGES> previous = position;
            ring.wait_full(position);
            if (tileCountHere > 1) {
                auto takeNext = [&] {
                    previous = position;
                    position.advance();
                    ring.wait_full(position);
                };
                {
                    float scores[KEYS / 2], derivatives[KEYS / 2];
                    multiplyScores(scores, derivatives);
                    products_wait<0>();
                    products_use(scores);
                    products_use(derivatives);
                    weigh(scores, derivatives);
                    takeNext();
                    pack(scores);
                }
                for (int n = 1; n < tileCountHere - 1; ++n) {
                    float scores[KEYS / 2], derivatives[KEYS / 2];
                    multiplyScores(scores, derivatives);
                    multiplyKeys(previous.stage);
                    products_wait<1>();
                    products_use(scores);
                    products_use(derivatives);
                    weigh(scores, derivatives);
                    // Its wait keeps the weighing before the next one, so that products are under way beside it. Of two stages the one before has
                    // to be given back first.
                    const RingPosition<STAGES> before = previous;
                    if constexpr (STAGES > 2) takeNext();
                    products_wait<0>();
                    ring.release(before, Place().lane);
                    if constexpr (STAGES == 2) takeNext();
                    pack(scores);
                }
            }
            // The tile of the warpgroup's own keys, which begins where its queries do, if there are any. Where there is none before, all weights
            // of that are zero.
            float scores[KEYS / 2], derivatives[KEYS / 2];
            multiplyScores(scores, derivatives);
            multiplyKeys(previous.stage);
            products_wait<0>();
            products_use(scores);
            products_use(derivatives);
            products_use(sums);
            if (tileCountHere > 1) ring.release(previous, Place().lane);
            {
                const Place at;
                const int row = 16 * at.warp + at.g;
                // The row's last column that counts. A normalized row of one weight does not depend on it; what rounding leaves of that would be
                // divided by the score.
                auto lastColumn = [&](int half) {
                    return row + 8 * half - 2 * at.t - (NORMALIZED && warpScales[8 * half + at.g].y < 0 ? 1 : 0);
                };
                const int lastColumns[2] = {lastColumn(0), lastColumn(1)};
                auto weighOwn = [&](auto weight) {
#pragma unroll
                    for (int n = 0; n < KEYS / 2; ++n) {
                        const int column = n / 4 * 8 + n % 2;
                        const float own = weight(n, column + 2 * at.t);
                        scores[n] = column <= lastColumns[n / 2 % 2] ? own : 0;
                    }
                };
#if GATED
                const float2 *stageGates = keyGates + position.stage * KEYS, baseGate = tileGates[0];
                if (decay_exponent(baseGate, stageGates[KEYS - 1]) <= MILD_EXPONENT) {
                    weigh(scores, derivatives);
                    const float rowDecays[2] = {decay(tileGates[row], baseGate), decay(tileGates[row + 8], baseGate)};
                    weighOwn([&](int n, int) { return scores[n] * rowDecays[n / 2 % 2]; });
                } else {
                    const float2 rowGates[2] = {tileGates[row], tileGates[row + 8]};
                    weighOwn([&](int n, int column) {
                        return (derivatives[n] + rowOffsets[n / 2 % 2]) * power_derivative(scores[n])
                            * seen_decay(rowGates[n / 2 % 2], stageGates[column]);
                    });
                }
#else
                weighOwn([&](int n, int) { return (derivatives[n] + rowOffsets[n / 2 % 2]) * power_derivative(scores[n]); });
#endif
            }
#if GATED
            // What was summed so far has decayed to the first query of the warpgroup only.
            {
                const Place at;
                const float2 *warpGates = tileGates + 16 * at.warp + at.g;
                const float rowDecays[2] = {decay(warpGates[0], tileGates[0]), decay(warpGates[8], tileGates[0])};
#pragma unroll
                for (int n = 0; n < WIDTH / 2; ++n) sums[n] *= rowDecays[n / 2 % 2];
            }
#endif
            pack(scores);
            multiplyKeys(position.stage);
            products_wait<0>();
            products_use(sums);
            ring.release(position, Place().lane);
            position.advance();
            // Tiles that only other warpgroups see.
            for (int n = tileCountHere; n < allTiles; ++n) ring.skip(position, Place().lane);

            // The rows leave by way of the warpgroup's queries, which no product reads any more.
            named_barrier<128>(1 + group);
            const Place last;
            const int lastRow = groupFirst + 16 * last.warp;
            elem *rows = queries + (queryPosition.stage * GROUPS + group) * QUERY_TILE + 64 * 16 * last.warp;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int row = 8 * half + last.g, token = min(lastRow + row, end - 1);
                const size_t place = static_cast<size_t>(token) * queryHeads + item.head;
                const float statistic = rowScales[64 * group + 16 * last.warp + row].y;
                // The gradient of a query scaled by 2^−exponent.
                const float factor = NORMALIZED ? fabsf(statistic) : statistic, queryFactor = power_of_two(-queryExponents[place]);
#if GATED && !NORMALIZED
                float product = 0;
#endif
#pragma unroll
                for (int n = 0; n < WIDTH / 8; ++n) {
                    float *pair = sums + 4 * n + 2 * half;
                    pair[0] *= factor, pair[1] *= factor;
#if GATED && !NORMALIZED
                    const elem *query = rows + panel_place(row, n * 8 + 2 * last.t, 64);
                    product += pair[0] * bfloat16_to_float(query[0]) + pair[1] * bfloat16_to_float(query[1]);
#endif
                    pair[0] *= queryFactor, pair[1] *= queryFactor;
                }
                const size_t angles = static_cast<size_t>(token % length) * (WIDTH / 2);
                if (cosines != nullptr) turn_back(sums, half, cosines + angles, sines + angles, last.t);
#if GATED && !NORMALIZED
                // Euler: what the weights of the row contribute to the gradient of its gate.
                product = row_sum(product);
                if (rowSums != nullptr && lastRow + row < end && last.t == 0) rowSums[place] = product / DEGREE;
#endif
            }
            store_rows<WIDTH>(
                rows, sums, dq + static_cast<size_t>(lastRow) * stride + item.head * width, stride, end - lastRow, width, last.lane);
            arrive_warp(queriesEmpty + queryPosition.stage, last.lane);
            queryPosition.advance();
        }
    }
}
