// States between the layout outside, S [n, h, D, e] and z [n, h, D], and that of the kernels, [n, h, features, stride] with z in column
// `paddedValueWidth`: features in blocks of 16, zeros where the alignment of the blocks adds features and columns.
//
// Outside, a τ above 1 has products of the same numbers in several orders: all are members of one feature inside. Those of the monomial of
// feature n are `members` from `starts[n]` up to `starts[n + 1]`, where n counts for nothing too. `factors` are the coefficients outside,
// `coefficients` those inside, the sums of their members'.
//
// Grid of the first two: sequences · key heads, each with its features by ROWS.
#include "common/elements.cuh"

constexpr int THREADS = 256;
constexpr int ROWS = 16;

// Inside from outside: Σ coefficient · state is the same, and so is that of gradients, which are divided by the coefficients: those stand on
// the side of the queries. Features that count for nothing get what the one of the same monomial gets: a symmetric state is read from them too
// (hopper/symmetric_state.cuh). `isUsed[n, h]` becomes 1 where a number is not zero.
extern "C" __global__ void __launch_bounds__(THREADS) import_state(
    const float *__restrict__ S, const float *__restrict__ z, float *__restrict__ state, int *__restrict__ isUsed,
    const int *__restrict__ starts, const int *__restrict__ members, const int *__restrict__ internal, const float *__restrict__ factors,
    const float *__restrict__ coefficients, int features, int dimension, int valueWidth, int paddedValueWidth, int isGradient
) {
    const int stride = paddedValueWidth + 8, slices = (features + ROWS - 1) / ROWS, slice = blockIdx.x % slices;
    const size_t pair = blockIdx.x / slices;
    bool isNonzero = false;
    for (int n = threadIdx.x; n < ROWS * stride; n += THREADS) {
        const int feature = slice * ROWS + n / stride, column = n % stride;
        if (feature >= features) break;
        float sum = 0;
        for (int member = starts[feature]; member < starts[feature + 1]; ++member) {
            const size_t place = pair * dimension + members[member];
            float x = 0;
            if (column < valueWidth) x = S[place * valueWidth + column];
            if (column == paddedValueWidth) x = z[place];
            isNonzero = isNonzero || x != 0;
            sum += x * ((isGradient ? 1 : factors[members[member]]) / coefficients[internal[members[member]]]);
        }
        state[(pair * features + feature) * stride + column] = sum;
    }
    if (isNonzero && isUsed != nullptr) atomicMax(isUsed + pair, 1);
}

// Outside from inside; features are those outside. What was there before, `carriedS` and `carriedZ`, decays and changes units, and is inside
// but for two kinds: products with the zeros that fill up the last tile of the symmetric power, which have no place there, and what members of
// one feature differ by.
extern "C" __global__ void __launch_bounds__(THREADS) export_state(
    const float *__restrict__ state, float *__restrict__ S, float *__restrict__ z, const int *__restrict__ internal,
    const int *__restrict__ starts, const int *__restrict__ members, const float *__restrict__ factors,
    const float *__restrict__ coefficients, const float *__restrict__ carriedS, const float *__restrict__ carriedZ,
    const float2 *__restrict__ gates, const int *__restrict__ initialExponents, const int *__restrict__ finalExponents,
    const int4 *__restrict__ sequences, const int4 *__restrict__ chunks, int tokens, int keyHeads, int features, int dimension,
    int valueWidth, int paddedValueWidth, int degree, int isGradient
) {
    const int stride = paddedValueWidth + 8, slices = (dimension + ROWS - 1) / ROWS, slice = blockIdx.x % slices;
    const size_t pair = blockIdx.x / slices;
    for (int n = threadIdx.x; n < ROWS * (valueWidth + 1); n += THREADS) {
        const int feature = slice * ROWS + n / (valueWidth + 1), column = n % (valueWidth + 1);
        if (feature >= dimension) break;
        const int place = internal[feature];
        float x = 0;
        if (place >= 0) {
            x = state[(pair * features + place) * stride + (column < valueWidth ? column : paddedValueWidth)];
            if (isGradient) x *= factors[feature];
        }
        if (carriedS != nullptr) {
            auto carried = [&](int member) {
                return column < valueWidth ? carriedS[(pair * dimension + member) * valueWidth + column] : carriedZ[pair * dimension + member];
            };
            float before = carried(feature);
            if (place >= 0)
                for (int n = starts[place]; n < starts[place + 1]; ++n)
                    before -= carried(members[n]) * (factors[isGradient ? feature : members[n]] / coefficients[place]);
            if (before != 0) {
                const int4 span = sequences[pair / keyHeads];
                const size_t head = pair % keyHeads;
                float exponent = initialExponents == nullptr ? 0 : degree * (initialExponents[pair] - finalExponents[pair]);
                for (int chunk = span.x; chunk < span.x + span.y && gates != nullptr; ++chunk) {
                    const float2 gate = gates[head * tokens + chunks[chunk].x + chunks[chunk].y - 1];
                    exponent += gate.x + gate.y;
                }
                x += before * exp2f(exponent);
            }
        }
        if (column < valueWidth) {
            S[(pair * dimension + feature) * valueWidth + column] = x;
        } else {
            z[pair * dimension + feature] = x;
        }
    }
}

// Parts of ⟨dS, S⟩ + ⟨dz, z⟩ = Σ coefficient · gradient · state. Grid: sequences · key heads, parts.
extern "C" __global__ void __launch_bounds__(THREADS) state_products(
    const float *__restrict__ state, const float *__restrict__ gradient, const float *__restrict__ coefficients,
    double *__restrict__ products, int features, int stride
) {
    __shared__ double sums[THREADS];
    const size_t pair = blockIdx.x;
    double sum = 0;
    const size_t size = static_cast<size_t>(features) * stride;
    for (size_t n = blockIdx.y * THREADS + threadIdx.x; n < size; n += gridDim.y * THREADS) {
        const size_t place = pair * size + n;
        sum += static_cast<double>(coefficients[n / stride]) * gradient[place] * state[place];
    }
    sums[threadIdx.x] = sum;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) products[pair * gridDim.y + blockIdx.y] = sums[0];
}
