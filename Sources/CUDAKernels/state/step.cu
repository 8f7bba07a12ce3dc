// The recurrent form (paper, section 3), for decoding: the state is read once, advanced by the tokens of the call, and written once, in the
// layout that it has outside, S [n, h, D, e] and z [n, h, D].
//
//     S ← g S + φ(k) vᵀ    z ← g z + φ(k)    y = φ(q)ᵀS / φ(q)ᵀz
//
// A block keeps FEATURES features of one key head of one sequence in registers and walks the tokens. What the blocks sum of y is put
// together, in the order of the blocks, by the one that comes last.
//
// Grid: slices of features, key heads, sequences. A thread holds VECTOR neighbouring columns of every (THREADS / COLUMNS)th feature.
// Shared memory: partial sums [THREADS · VECTOR] in `real`; v [VALUES], k [WIDTH], q [WIDTH] in float32. Features are in registers only.
#include "common/elements.cuh"
#include "common/exponents.cuh"

constexpr int THREADS = 256;
// Log-gates from here down forget everything before.
constexpr float CLOSED = -1000;
constexpr int ROWS = THREADS / COLUMNS;
constexpr int PER_THREAD = FEATURES / ROWS;
constexpr int VALUES = COLUMNS * VECTOR;
static_assert(FEATURES % ROWS == 0 && THREADS % COLUMNS == 0, "threads share the features evenly");
static_assert(FEATURES <= THREADS, "a thread holds one number of z");
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

// The exponent of the largest of WIDTH numbers in shared memory; every warp finds it for itself.
__device__ __forceinline__ int exponent_of(const float *x) {
    float largest = 0;
    for (int n = threadIdx.x % 32; n < WIDTH; n += 32) largest = fmaxf(largest, fabsf(x[n]));
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
    return magnitude_exponent(largest);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) state_step(
    const input *__restrict__ q, const input *__restrict__ k, const input *__restrict__ v, const float *__restrict__ logGates,
    float *__restrict__ S, float *__restrict__ z, int *__restrict__ exponents, const int *__restrict__ isUsed,
    const unsigned *__restrict__ factors, const float *__restrict__ coefficients,
    const int4 *__restrict__ sequences, real *__restrict__ partials, unsigned *__restrict__ arrivals, input *__restrict__ y,
    int queryHeads, int keyHeads, int width, int valueWidth, int dimension, int longest, float rowFactor, int rowExponent
) {
    extern __shared__ __align__(16) unsigned char memory[];
    real *sums = reinterpret_cast<real *>(memory);
    float *value = reinterpret_cast<float *>(sums + THREADS * VECTOR);
    float *key = value + VALUES;
    float *query = key + WIDTH;
    __shared__ real normalizerSums[THREADS / 32];
    __shared__ unsigned isLast;

    const int head = blockIdx.y, sequence = blockIdx.z, group = queryHeads / keyHeads;
    const int4 span = sequences[sequence];
    const int firstToken = span.z, count = span.w;
    const size_t pair = static_cast<size_t>(sequence) * keyHeads + head;
    const int thread = threadIdx.x, lane = thread % 32;
    const int row = thread / COLUMNS, column = thread % COLUMNS * VECTOR;
    const int firstFeature = blockIdx.x * FEATURES;
    if (count == 0) return;

    // Everything that comes from memory is asked for at once.
    float raw[PER_THREAD][VECTOR];
    float *slice = S + (pair * dimension + firstFeature) * valueWidth;
#pragma unroll
    for (int i = 0; i < PER_THREAD; ++i) {
        const int feature = i * ROWS + row;
        const bool isHeld = firstFeature + feature < dimension && column < valueWidth;
#if VECTOR == 4
        const float4 four = isHeld ? *reinterpret_cast<const float4 *>(slice + static_cast<size_t>(feature) * valueWidth + column)
                                   : make_float4(0, 0, 0, 0);
        raw[i][0] = four.x, raw[i][1] = four.y, raw[i][2] = four.z, raw[i][3] = four.w;
#else
        raw[i][0] = isHeld ? slice[static_cast<size_t>(feature) * valueWidth + column] : 0;
#endif
    }
    const int ownFeature = firstFeature + thread;
    const bool holdsNormalizer = thread < FEATURES && ownFeature < dimension;
    const float rawNormalizer = holdsNormalizer ? z[pair * dimension + ownFeature] : 0;
    const unsigned ownFactors = holdsNormalizer ? factors[ownFeature] : ~0u;
    const real ownCoefficient = holdsNormalizer ? coefficients[ownFeature] : 0;
    unsigned heldFactors[PER_THREAD];
    float heldCoefficients[PER_THREAD];
#pragma unroll
    for (int i = 0; i < PER_THREAD; ++i) {
        const int feature = firstFeature + i * ROWS + row;
        heldFactors[i] = feature < dimension ? factors[feature] : ~0u;
        heldCoefficients[i] = feature < dimension ? coefficients[feature] : 0;
    }
    const bool hasState = isUsed == nullptr || isUsed[pair] != 0;
    const int before = exponents[pair];
    auto load_key = [&](int token) {
        return thread < width ? from_input(k[(static_cast<size_t>(firstToken + token) * keyHeads + head) * width + thread]) : 0;
    };
    auto load_value = [&](int token) {
        return thread < valueWidth
            ? from_input(v[(static_cast<size_t>(firstToken + token) * keyHeads + head) * valueWidth + thread]) : 0;
    };
    auto load_query = [&](int index) {
        const size_t queryRow = static_cast<size_t>(firstToken + index / group) * queryHeads + head * group + index % group;
        return thread < width && index < count * group ? from_input(q[queryRow * width + thread]) : 0;
    };
    auto load_gate = [&](int token) {
        return logGates == nullptr ? 0 : logGates[static_cast<size_t>(firstToken + token) * keyHeads + head];
    };
    float nextKey = load_key(0), nextValue = load_value(0), nextQuery = load_query(0), nextGate = load_gate(0);

    // The state changes units once, to those of the largest of all keys of the call.
    int exponent = hasState ? before : NO_EXPONENT;
    for (int token = 0; token < count; ++token) {
        if (thread < WIDTH) key[thread] = token == 0 ? nextKey : load_key(token);
        __syncthreads();
        exponent = max(exponent, exponent_of(key));
        __syncthreads();
    }
    exponent = exponent_or_zero(exponent);
    const float units = hasState ? power_of_two(DEGREE * (before - exponent)) : 0.f;
    const float keyFactor = power_of_two(-exponent);
    real state[PER_THREAD][VECTOR];
#pragma unroll
    for (int i = 0; i < PER_THREAD; ++i)
#pragma unroll
        for (int c = 0; c < VECTOR; ++c) state[i][c] = raw[i][c] * units;
    real normalizer = rawNormalizer * units;

    const int outputs = group * (valueWidth + 1);
    real *slicePartials = partials + ((pair * gridDim.x + blockIdx.x) * longest) * outputs;
    for (int token = 0; token < count; ++token) {
        if (thread < WIDTH) key[thread] = nextKey;
        if (thread < VALUES) value[thread] = nextValue;
        __syncthreads();
        const real gate = exp(static_cast<real>(nextGate));
        if (token + 1 < count) nextKey = load_key(token + 1), nextValue = load_value(token + 1), nextGate = load_gate(token + 1);
        normalizer = normalizer * gate + monomial(key, keyFactor, ownFactors);
#pragma unroll
        for (int i = 0; i < PER_THREAD; ++i) {
            const real factor = monomial(key, keyFactor, heldFactors[i]);
#pragma unroll
            for (int c = 0; c < VECTOR; ++c) state[i][c] = state[i][c] * gate + factor * static_cast<real>(value[column + c]);
        }
        for (int member = 0; member < group; ++member) {
            if (thread < WIDTH) query[thread] = nextQuery;
            __syncthreads();
            nextQuery = load_query(token * group + member + 1);
            const float queryFactor = power_of_two(-exponent_or_zero(exponent_of(query)));
            real sum[VECTOR] = {};
#pragma unroll
            for (int i = 0; i < PER_THREAD; ++i) {
                const real factor = monomial(query, queryFactor, heldFactors[i]) * heldCoefficients[i];
#pragma unroll
                for (int c = 0; c < VECTOR; ++c) sum[c] += factor * state[i][c];
            }
#pragma unroll
            for (int c = 0; c < VECTOR; ++c) sums[row * VALUES + column + c] = sum[c];
            real product = monomial(query, queryFactor, ownFactors) * ownCoefficient * normalizer;
#pragma unroll
            for (int offset = 16; offset > 0; offset /= 2) product += __shfl_xor_sync(~0u, product, offset);
            if (lane == 0) normalizerSums[thread / 32] = product;
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
                for (int n = 0; n < THREADS / 32; ++n) total += normalizerSums[n];
                out[valueWidth] = total;
            }
        }
    }

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
    if (holdsNormalizer) z[pair * dimension + ownFeature] = static_cast<float>(normalizer);

    // The last block of the pair has all parts before it: it sums them and leaves the counter at zero for the next launch.
    __threadfence();
    __syncthreads();
    if (thread == 0) isLast = atomicAdd(arrivals + pair, 1u) == gridDim.x - 1;
    __syncthreads();
    if (!isLast) return;
    __threadfence();
    if (thread == 0) {
        arrivals[pair] = 0;
        exponents[pair] = exponent;
    }
    // A row of outputs after another, parts in tiles that fit where the partial sums were.
    const real *pairPartials = partials + pair * gridDim.x * longest * outputs;
    const int columns = valueWidth + 1, parts = gridDim.x, tileParts = THREADS * VECTOR / columns;
    for (int index = 0; index < count * group; ++index) {
        const int token = index / group, member = index % group;
        const size_t queryRow = static_cast<size_t>(firstToken + token) * queryHeads + head * group + member;
        const real *rowPartials = pairPartials + static_cast<size_t>(token) * outputs + member * columns;
        real total = 0, divisor = 0;
        for (int firstPart = 0; firstPart < parts; firstPart += tileParts) {
            const int tile = min(tileParts, parts - firstPart);
            __syncthreads();
            for (int n = thread; n < tile * columns; n += THREADS)
                sums[n] = __ldcg(rowPartials + static_cast<size_t>(firstPart + n / columns) * longest * outputs + n % columns);
            __syncthreads();
            if (thread < valueWidth)
                for (int part = 0; part < tile; ++part) total += sums[part * columns + thread], divisor += sums[part * columns + valueWidth];
        }
        if (thread >= valueWidth) continue;
#if NORMALIZED
        real result = divisor == 0 ? 0 : total / divisor;
        // Where a query is nearly orthogonal to the one key that it sees, the products of features cancel; the answer does not depend on it.
        const size_t keyRow = static_cast<size_t>(firstToken + token) * keyHeads + head;
        if ((token == 0 && !hasState) || (logGates != nullptr && logGates[keyRow] <= CLOSED)) {
            double inner = 0;
            for (int i = 0; i < width; ++i)
                inner += static_cast<double>(from_input(q[queryRow * width + i])) * from_input(k[keyRow * width + i]);
            result = inner == 0 ? 0 : from_input(v[keyRow * valueWidth + thread]);
        }
#else
        float largest = 0;
        for (int i = 0; i < width; ++i) largest = fmaxf(largest, fabsf(from_input(q[queryRow * width + i])));
        const real result =
            ldexpf(static_cast<float>(total * rowFactor), rowExponent + DEGREE * (exponent + exponent_or_zero(magnitude_exponent(largest))));
#endif
        y[queryRow * valueWidth + thread] = to_input(static_cast<float>(result));
    }
}
