// What is done to every number, or pair of numbers, by itself. A thread does one group of VECTOR neighbours.
#include "layers/activations.cuh"

constexpr int THREADS = 256;

// Groups are numbered in 32 bits: divisions of longer numbers would take longer than the memory.
__device__ __forceinline__ unsigned own_group() { return blockIdx.x * THREADS + threadIdx.x; }

// The first number of this thread's group.
__device__ __forceinline__ size_t own_place() { return static_cast<size_t>(own_group()) * VECTOR; }

__device__ __forceinline__ float sigmoid(float x) { return __fdividef(1.f, 1 + __expf(-x)); }

// tanh u as 2 sigmoid(2u) − 1.
__device__ __forceinline__ float tanh_of(float u) { return 2 * sigmoid(2 * u) - 1; }

constexpr float GELU_SCALE = 0.7978845608028654f, GELU_CUBE = 0.044715f;

extern "C" __global__ void __launch_bounds__(THREADS) gelu(const activation *__restrict__ x, activation *__restrict__ y, size_t count) {
    const size_t place = own_place();
    if (place >= count) return;
    float values[VECTOR];
    load(values, x + place);
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        const float v = values[i];
        values[i] = v * sigmoid(2 * GELU_SCALE * (v + GELU_CUBE * v * v * v));
    }
    store(y + place, values);
}

extern "C" __global__ void __launch_bounds__(THREADS) gelu_backward(
    const activation *__restrict__ x, activation *__restrict__ gradient, size_t count
) {
    const size_t place = own_place();
    if (place >= count) return;
    float values[VECTOR], gradients[VECTOR];
    load(values, x + place);
    load(gradients, gradient + place);
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        const float v = values[i], square = v * v;
        const float t = tanh_of(GELU_SCALE * (v + GELU_CUBE * v * square));
        gradients[i] *= 0.5f * (1 + t) + 0.5f * v * (1 - t * t) * GELU_SCALE * (1 + 3 * GELU_CUBE * square);
    }
    store(gradient + place, gradients);
}

// Rows of x are [gate, value], 2 · width numbers. `count` is that of the results.
extern "C" __global__ void __launch_bounds__(THREADS) swiglu(
    const activation *__restrict__ x, activation *__restrict__ y, size_t count, int width
) {
    const size_t place = own_place();
    if (place >= count) return;
    const size_t gate = place + static_cast<size_t>(own_group() / (width / VECTOR)) * width;
    float gates[VECTOR], values[VECTOR];
    load(gates, x + gate);
    load(values, x + gate + width);
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) values[i] *= gates[i] * sigmoid(gates[i]);
    store(y + place, values);
}

extern "C" __global__ void __launch_bounds__(THREADS) swiglu_backward(
    const activation *__restrict__ x, const activation *__restrict__ gradient, activation *__restrict__ inputGradient, size_t count,
    int width
) {
    const size_t place = own_place();
    if (place >= count) return;
    const size_t gate = place + static_cast<size_t>(own_group() / (width / VECTOR)) * width;
    float gates[VECTOR], values[VECTOR], gradients[VECTOR];
    load(gates, x + gate);
    load(values, x + gate + width);
    load(gradients, gradient + place);
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        const float s = sigmoid(gates[i]), g = gates[i];
        const float gateGradient = gradients[i] * values[i] * s * (1 + g * (1 - s));
        values[i] = gradients[i] * g * s;
        gates[i] = gateGradient;
    }
    store(inputGradient + gate, gates);
    store(inputGradient + gate + width, values);
}

extern "C" __global__ void __launch_bounds__(THREADS) add_bias(
    activation *__restrict__ x, const float *__restrict__ bias, size_t count, int width
) {
    const size_t place = own_place();
    if (place >= count) return;
    float values[VECTOR], biases[VECTOR];
    load(values, x + place);
    load_floats(biases, bias + own_group() % (width / VECTOR) * VECTOR);
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) values[i] += biases[i];
    store(x + place, values);
}

__device__ __forceinline__ float rounded(float x) { return to_float(to_activation(x)); }

// Turns the pairs (i, i + half) of every head of x by the angles of its row's position; `direction` is 1 or −1. Rows of y, which may be x,
// begin `stride` numbers after one another. `count` is the number of pairs. Where `magnitudes` are wanted, they get the largest of every head:
// its half / VECTOR threads are a power of two within a warp. The last rows come first: see `descending_block`.
extern "C" __global__ void __launch_bounds__(THREADS) rotate(
    const activation *x, activation *y, const float *__restrict__ cosines, const float *__restrict__ sines, size_t count, int width,
    int stride, int half, int length, float direction, float *__restrict__ magnitudes
) {
    const unsigned group = descending_block() * THREADS + threadIdx.x;
    if (static_cast<size_t>(group) * VECTOR >= count) return;
    const unsigned perRow = width / 2 / VECTOR, perHead = half / VECTOR;
    const unsigned row = group / perRow, within = group % perRow, head = within / perHead, i = within % perHead * VECTOR;
    const size_t column = head * 2 * half + i, angle = static_cast<size_t>(row % length) * half + i;
    const activation *source = x + static_cast<size_t>(row) * width + column;
    activation *place = y + static_cast<size_t>(row) * stride + column;
    float first[VECTOR], second[VECTOR], cosine[VECTOR], sine[VECTOR];
    load(first, source);
    load(second, source + half);
    load_floats(cosine, cosines + angle);
    load_floats(sine, sines + angle);
#pragma unroll
    for (int n = 0; n < VECTOR; ++n) {
        const float a = first[n], b = second[n], s = direction * sine[n];
        first[n] = a * cosine[n] - b * s;
        second[n] = a * s + b * cosine[n];
    }
    store(place, first);
    store(place + half, second);
    if (magnitudes == nullptr) return;
    float largest = 0;
#pragma unroll
    for (int n = 0; n < VECTOR; ++n) largest = fmaxf(largest, fmaxf(fabsf(rounded(first[n])), fabsf(rounded(second[n]))));
    const unsigned lane = threadIdx.x % 32, members = ~0u >> (32 - perHead) << (lane - lane % perHead);
    for (unsigned offset = perHead / 2; offset > 0; offset /= 2) largest = fmaxf(largest, __shfl_xor_sync(members, largest, offset));
    if (i == 0) magnitudes[group / perHead] = largest;
}

// The first `columns` numbers of every row of y, whose rows begin `stride` numbers after one another: those of a row of x, and zeros behind
// them. `count` is that of what is written.
extern "C" __global__ void __launch_bounds__(THREADS) set_columns(
    const activation *__restrict__ x, activation *__restrict__ y, size_t count, int width, int columns, int stride
) {
    if (own_place() >= count) return;
    const unsigned perRow = columns / VECTOR, row = own_group() / perRow;
    const int column = own_group() % perRow * VECTOR;
    const activation *source = x + static_cast<size_t>(row) * width + column;
    float values[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) values[i] = 0;
    if (width % VECTOR == 0) {
        if (column < width) load(values, source);
    } else {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i)
            if (column + i < width) values[i] = to_float(source[i]);
    }
    store(y + static_cast<size_t>(row) * stride + column, values);
}
