// The recurrent form (paper, section 3), for decoding: the state is read once, advanced by the tokens of the call, and written once, in the
// layout that it has outside, S [n, h, D, e] and z [n, h, D].
//
//     S ← g S + φ(k) vᵀ    z ← g z + φ(k)    y = φ(q)ᵀS / φ(q)ᵀz
//
// A block keeps FEATURES features of one key head of one sequence in registers and walks the tokens. What the blocks sum of y is put
// together, in an order that is always the same, by the one that comes last.
//
// What a block waits for sets the speed: it asks for its slice of the state before it knows its tokens, makes φ of keys and queries while
// the slice comes, and tells the others of its sums before it writes the slice, whose way to memory nobody waits for.
//
// Grid: slices of features, key heads, sequences. A thread holds VECTOR neighbouring columns of every (THREADS / COLUMNS)th feature.
// Shared memory: partial sums [SUMS], φ(k) [HELD], φ(q) [HELD] in `real`; v [VALUES], k [WIDTH], q [WIDTH] in float32.
#include "common/elements.cuh"
#include "common/exponents.cuh"

constexpr int THREADS = 256;
// Log-gates from here down forget everything before.
constexpr float CLOSED = -1000;
constexpr int ROWS = THREADS / COLUMNS;
constexpr int PER_THREAD = FEATURES / ROWS;
constexpr int VALUES = COLUMNS * VECTOR;
// The blocks' sums are put together by as many threads a column.
constexpr int SETS = THREADS / VALUES;
constexpr int SUMS = THREADS * (VECTOR == 1 ? 2 : VECTOR);
// Features of whole warps.
constexpr int HELD = (FEATURES + 31) / 32 * 32;
static_assert(FEATURES % ROWS == 0 && THREADS % COLUMNS == 0, "threads share the features evenly");
static_assert(FEATURES <= THREADS, "a thread holds one number of z");
static_assert(VALUES <= THREADS, "a thread sums a column of y");
static_assert(VECTOR == 1 || VECTOR == 4, "columns are read one by one or by four");

#if MATH == 3
typedef double real;
#else
typedef float real;
#endif

// A feature of factor · x from the indices of its factors, a byte each. All ones stand for a feature that is always zero: they would be one
// of the fourth power of 256 numbers, whose state no memory holds.
__device__ __forceinline__ real monomial(const float *x, float factor, unsigned factors) {
    if (factors == ~0u) return 0;
    real product = x[factors >> 24] * factor;
#pragma unroll
    for (int n = 0; n < DEGREE - 1; ++n) product *= static_cast<real>(x[factors >> 8 * n & 0xff] * factor);
    return product;
}

// The exponent of the largest of WIDTH numbers; every warp finds it for itself.
template <typename Numbers>
__device__ __forceinline__ int exponent_of(Numbers number) {
    float largest = 0;
#pragma unroll
    for (int n = 0; n < WIDTH; n += 32)
        if (n + threadIdx.x % 32 < WIDTH) largest = fmaxf(largest, fabsf(number(n + threadIdx.x % 32)));
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
    return magnitude_exponent(largest);
}

// For as many blocks as on Hopper the compiler spills on other cards.
extern "C" __global__ void __launch_bounds__(THREADS, __CUDA_ARCH__ == 900 ? BLOCKS : BLOCKS / 2) state_step(
    const input *__restrict__ q, const input *__restrict__ k, const input *__restrict__ v, const float *__restrict__ logGates,
    float *__restrict__ S, float *__restrict__ z, int *__restrict__ exponents, const int *__restrict__ isUsed,
    const unsigned *__restrict__ factors, const float *__restrict__ coefficients,
    const int4 *__restrict__ sequences, real *__restrict__ partials, unsigned *__restrict__ arrivals, input *__restrict__ y,
    int group, int keyHeads, int width, int valueWidth, int dimension, int longest, float rowFactor, int rowExponent
) {
    extern __shared__ __align__(16) unsigned char memory[];
    real *sums = reinterpret_cast<real *>(memory);
    real *keyFeatures = sums + SUMS;
    real *queryFeatures = keyFeatures + HELD;
    float *value = reinterpret_cast<float *>(queryFeatures + HELD);
    float *key = value + VALUES;
    float *query = key + WIDTH;
    __shared__ real normalizerSums[HELD / 32];
    __shared__ unsigned isLast;

    const int head = blockIdx.y, sequence = blockIdx.z;
    const int4 span = sequences[sequence];
    const size_t pair = static_cast<size_t>(sequence) * keyHeads + head;
    const int thread = threadIdx.x, lane = thread % 32;
    const int row = thread / COLUMNS, column = thread % COLUMNS * VECTOR;
    const int firstFeature = blockIdx.x * FEATURES;

    // Everything that comes from memory is asked for at once, the state before it is known whether there are tokens.
    float raw[PER_THREAD][VECTOR], rawNormalizer[1];
    float *slice = S + (pair * dimension + firstFeature) * valueWidth;
#pragma unroll
    for (int i = 0; i < PER_THREAD; ++i) {
        const int feature = i * ROWS + row;
        load_now(
            raw[i], slice + static_cast<size_t>(feature) * valueWidth + column,
            firstFeature + feature < dimension && column < valueWidth);
    }
    const int ownFeature = firstFeature + thread;
    const bool ownsFeature = thread < FEATURES && ownFeature < dimension;
    load_now(rawNormalizer, z + pair * dimension + ownFeature, ownsFeature);
    const unsigned ownFactors = ownsFeature ? factors[ownFeature] : ~0u;
    const real ownCoefficient = ownsFeature ? coefficients[ownFeature] : 0;
    const int firstToken = span.z, count = span.w;
    // The loads stay before the barrier; they would wait for the count otherwise.
    __syncthreads();
    if (count == 0) return;
    const bool hasState = isUsed == nullptr || isUsed[pair] != 0;
    const int before = exponents[pair];
    auto load_key = [&](int token) {
        return thread < width ? from_input(k[(static_cast<size_t>(firstToken + token) * keyHeads + head) * width + thread]) : 0;
    };
    auto load_value = [&](int token) {
        return thread < valueWidth
            ? from_input(v[(static_cast<size_t>(firstToken + token) * keyHeads + head) * valueWidth + thread]) : 0;
    };
    auto load_query = [&](int token, int member) {
        const size_t queryRow = (static_cast<size_t>(firstToken + token) * keyHeads + head) * group + member;
        return thread < width ? from_input(q[queryRow * width + thread]) : 0;
    };
    auto load_gate = [&](int token) {
        return logGates == nullptr ? 0 : logGates[static_cast<size_t>(firstToken + token) * keyHeads + head];
    };
    float nextKey = load_key(0), nextValue = load_value(0), nextQuery = load_query(0, 0), nextGate = load_gate(0);

    // The state changes units once, to those of the largest of all keys of the call.
    int exponent = hasState ? before : NO_EXPONENT;
#pragma unroll 1
    for (int token = 0; token < count; ++token) {
        const input *row = k + (static_cast<size_t>(firstToken + token) * keyHeads + head) * width;
        exponent = max(exponent, exponent_of([&](int n) { return n < width ? from_input(row[n]) : 0; }));
    }
    exponent = exponent_or_zero(exponent);
    const float units = hasState ? power_of_two(DEGREE * (before - exponent)) : 0.f;
    const float keyFactor = power_of_two(-exponent);
    real state[PER_THREAD][VECTOR];
#pragma unroll
    for (int i = 0; i < PER_THREAD; ++i)
#pragma unroll
        for (int c = 0; c < VECTOR; ++c) state[i][c] = raw[i][c];
    real normalizer = rawNormalizer[0] * units;

    const int outputs = group * (valueWidth + 1);
    real *slicePartials = partials + ((pair * gridDim.x + blockIdx.x) * longest) * outputs;
    for (int token = 0; token < count; ++token) {
        if (thread < WIDTH) key[thread] = nextKey;
        if (thread < VALUES) value[thread] = nextValue;
        const real gate = exp(static_cast<real>(nextGate)), change = token == 0 ? units : 1;
        if (token + 1 < count) nextKey = load_key(token + 1), nextValue = load_value(token + 1), nextGate = load_gate(token + 1);
        for (int member = 0; member < group; ++member) {
            if (thread < WIDTH) query[thread] = nextQuery;
            if (member + 1 < group) {
                nextQuery = load_query(token, member + 1);
            } else if (token + 1 < count) {
                nextQuery = load_query(token + 1, 0);
            }
            __syncthreads();
            if (thread < HELD) {
                if (member == 0) {
                    const real feature = monomial(key, keyFactor, ownFactors);
                    keyFeatures[thread] = feature;
                    normalizer = normalizer * gate + feature;
                }
                const float queryFactor = power_of_two(-exponent_or_zero(exponent_of([&](int n) { return query[n]; })));
                const real feature = monomial(query, queryFactor, ownFactors) * ownCoefficient;
                queryFeatures[thread] = feature;
                real product = feature * normalizer;
#pragma unroll
                for (int offset = 16; offset > 0; offset /= 2) product += __shfl_xor_sync(~0u, product, offset);
                if (lane == 0) normalizerSums[thread / 32] = product;
            }
            __syncthreads();
            if (member == 0) {
#pragma unroll
                for (int i = 0; i < PER_THREAD; ++i) {
                    const real feature = keyFeatures[i * ROWS + row];
#pragma unroll
                    for (int c = 0; c < VECTOR; ++c)
                        state[i][c] = state[i][c] * change * gate + feature * static_cast<real>(value[column + c]);
                }
            }
            real sum[VECTOR] = {};
#pragma unroll
            for (int i = 0; i < PER_THREAD; ++i) {
                const real feature = queryFeatures[i * ROWS + row];
#pragma unroll
                for (int c = 0; c < VECTOR; ++c) sum[c] += feature * state[i][c];
            }
#pragma unroll
            for (int c = 0; c < VECTOR; ++c) sums[row * VALUES + column + c] = sum[c];
            __syncthreads();
            real *out = slicePartials + static_cast<size_t>(token) * outputs + member * (valueWidth + 1);
            if (thread < valueWidth) {
                real total = 0;
#pragma unroll
                for (int i = 0; i < ROWS; ++i) total += sums[i * VALUES + thread];
                out[thread] = total;
            }
            if (thread == 0) {
                real total = 0;
#pragma unroll
                for (int n = 0; n < HELD / 32; ++n) total += normalizerSums[n];
                out[valueWidth] = total;
            }
        }
    }

    // The block is counted as soon as its sums are in memory, and writes its slice meanwhile.
    __syncthreads();
    unsigned arrived = 0;
    if (thread == 0) arrived = count_arrival(arrivals + pair);
#pragma unroll
    for (int i = 0; i < PER_THREAD; ++i) {
        const int feature = i * ROWS + row;
        if (firstFeature + feature >= dimension || column >= valueWidth) continue;
#if VECTOR == 4
        *reinterpret_cast<float4 *>(slice + static_cast<size_t>(feature) * valueWidth + column) = make_float4(
            static_cast<float>(state[i][0]), static_cast<float>(state[i][1]), static_cast<float>(state[i][2]),
            static_cast<float>(state[i][3]));
#else
        slice[static_cast<size_t>(feature) * valueWidth + column] = static_cast<float>(state[i][0]);
#endif
    }
    if (ownsFeature) z[pair * dimension + ownFeature] = static_cast<float>(normalizer);
    if (thread == 0) isLast = arrived == gridDim.x - 1;
    __syncthreads();

    // The last block of the pair has all parts before it: it sums them and leaves the counter at zero for the next launch.
    if (!isLast) return;
    if (thread == 0) {
        arrivals[pair] = 0;
        exponents[pair] = exponent;
    }
    // A row of outputs after another. Of a row, each of SETS threads a column sums every SETS-th part, and one of them their sums.
    constexpr int LOADS = 8;
    const int parts = gridDim.x, set = thread / VALUES, ownColumn = thread % VALUES;
    for (int index = 0; index < count * group; ++index) {
        const real *rowPartials = partials + (pair * parts * longest * group + index) * (valueWidth + 1);
        real total = 0, divisor = 0;
        for (int firstPart = set; firstPart < parts; firstPart += LOADS * SETS) {
            real columnParts[LOADS], divisorParts[LOADS];
#pragma unroll
            for (int n = 0; n < LOADS; ++n) {
                const int part = firstPart + n * SETS;
                const real *partial = rowPartials + static_cast<size_t>(part) * longest * outputs;
                columnParts[n] = part < parts && ownColumn < valueWidth ? __ldcg(partial + ownColumn) : 0;
                divisorParts[n] = part < parts ? __ldcg(partial + valueWidth) : 0;
            }
#pragma unroll
            for (int n = 0; n < LOADS; ++n) total += columnParts[n], divisor += divisorParts[n];
        }
        __syncthreads();
        sums[thread] = total, sums[THREADS + thread] = divisor;
        __syncthreads();
        if (thread >= valueWidth) continue;
        total = 0, divisor = 0;
#pragma unroll
        for (int n = 0; n < SETS; ++n) total += sums[n * VALUES + thread], divisor += sums[THREADS + n * VALUES + thread];
        const size_t keyRow = static_cast<size_t>(firstToken + index / group) * keyHeads + head;
        const size_t queryRow = keyRow * group + index % group;
#if NORMALIZED
        real result = divisor == 0 ? 0 : total / divisor;
        // Where a query is nearly orthogonal to the one key that it sees, the products of features cancel; the answer does not depend on it.
        if ((index < group && !hasState) || (logGates != nullptr && logGates[keyRow] <= CLOSED)) {
            double inner = 0;
#pragma unroll 1
            for (int i = 0; i < width; ++i)
                inner += static_cast<double>(from_input(q[queryRow * width + i])) * from_input(k[keyRow * width + i]);
            result = inner == 0 ? 0 : from_input(v[keyRow * valueWidth + thread]);
        }
#else
        float largest = 0;
#pragma unroll 1
        for (int i = 0; i < width; ++i) largest = fmaxf(largest, fabsf(from_input(q[queryRow * width + i])));
        const real result =
            ldexpf(static_cast<float>(total * rowFactor), rowExponent + DEGREE * (exponent + exponent_or_zero(magnitude_exponent(largest))));
#endif
        y[queryRow * valueWidth + thread] = to_input(static_cast<float>(result));
    }
}
