// States between the layout outside, S [n, h, D, e] and z [n, h, D], and that of the kernels, [n, h, features, stride] with z in column
// `paddedValueWidth`: features in blocks of 16, zeros where the alignment of the blocks adds features and columns.
//
// Grid of the first two: sequences · key heads, each with its features by ROWS.
#include "common/elements.cuh"

constexpr int THREADS = 256;
constexpr int ROWS = 16;

// Inside from outside. At degree 2 the state inside is symmetric: where both orders of two factors have a place outside, each gets half of their
// sum, and where one has, the other gets the same. A gradient is divided by the coefficients, which stand on the side of the queries. `isUsed[n, h]` becomes 1 where a
// number is not zero.
extern "C" __global__ void __launch_bounds__(THREADS) import_state(
    const float *__restrict__ S, const float *__restrict__ z, float *__restrict__ state, int *__restrict__ isUsed,
    const int *__restrict__ external, const int *__restrict__ exchanged, const int *__restrict__ internal,
    const float *__restrict__ coefficients, int features, int dimension, int valueWidth, int paddedValueWidth, int isGradient
) {
    const int stride = paddedValueWidth + 8, slices = (features + ROWS - 1) / ROWS, slice = blockIdx.x % slices;
    const size_t pair = blockIdx.x / slices;
    bool isNonzero = false;
    for (int n = threadIdx.x; n < ROWS * stride; n += THREADS) {
        const int feature = slice * ROWS + n / stride, column = n % stride;
        if (feature >= features) break;
        const int own = external[feature], other = exchanged[feature], place = own >= 0 ? own : other;
        float x = 0;
        if (place >= 0) {
            auto read = [&](int place) {
                return column < valueWidth ? S[(pair * dimension + place) * valueWidth + column]
                    : column == paddedValueWidth ? z[pair * dimension + place] : 0;
            };
            x = own >= 0 && other >= 0 ? (read(own) + read(other)) / 2 : read(place);
            if (isGradient) x /= coefficients[internal[place]];
        }
        isNonzero = isNonzero || x != 0;
        state[(pair * features + feature) * stride + column] = x;
    }
    if (isNonzero && isUsed != nullptr) atomicMax(isUsed + pair, 1);
}

// Outside from inside; features are those outside. Features without a place inside are products with the zeros that fill up the last tile of
// the symmetric power: nothing is added to what they were before, `carriedS` and `carriedZ`, which decays and changes units as all do. So does
// what a state was not symmetric by.
extern "C" __global__ void __launch_bounds__(THREADS) export_state(
    const float *__restrict__ state, float *__restrict__ S, float *__restrict__ z, const int *__restrict__ internal,
    const int *__restrict__ exchanged, const float *__restrict__ coefficients, const float *__restrict__ carriedS, const float *__restrict__ carriedZ,
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
        const int other = place >= 0 ? exchanged[place] : -1;
        float x = 0;
        if (place >= 0) {
            x = state[(pair * features + place) * stride + (column < valueWidth ? column : paddedValueWidth)];
            if (isGradient) x *= coefficients[place];
        }
        const bool isCarried = place < 0 || (other >= 0 && other != feature);
        if (isCarried && carriedS != nullptr) {
            const int4 span = sequences[pair / keyHeads];
            const size_t head = pair % keyHeads;
            float exponent = initialExponents == nullptr ? 0 : degree * (initialExponents[pair] - finalExponents[pair]);
            for (int chunk = span.x; chunk < span.x + span.y && gates != nullptr; ++chunk) {
                const float2 gate = gates[head * tokens + chunks[chunk].x + chunks[chunk].y - 1];
                exponent += gate.x + gate.y;
            }
            auto carried = [&](int place) {
                return column < valueWidth ? carriedS[(pair * dimension + place) * valueWidth + column] : carriedZ[pair * dimension + place];
            };
            const float before = place < 0 ? carried(feature) : (carried(feature) - carried(other)) / 2;
            x += before == 0 ? 0 : before * exp2f(exponent);
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
