// AdamW over all parameters of a model, in one launch, with the norm of all gradients before it.
//
// The parameters stand in a table, cut into pieces of PIECE numbers; a block does one piece. Nothing that changes from step to step is an
// argument: the launches can be recorded once.
#include "layers/activations.cuh"
#include "layers/reduction.cuh"

constexpr int THREADS = 256, PIECE = 4096;

struct Parameter {
    float *value, *gradient, *first, *second;
    // The value in the type of activations; null where that is float32 or nobody multiplies by it.
    activation *copy;
    long long count;
    // Whether weight decay applies.
    long long decays;
};

// What the host gives a step, in float32 but for the last: the order is that of `UpdateNumbers`.
struct Numbers {
    float rate, beta1, beta2, epsilon, decay, firstCorrection, secondCorrection, clip, spike;
    // Updates before a spike is one.
    int patience;
};

// What a step leaves for the next: the running mean of the norms of gradients, and of how many.
struct History {
    double mean;
    long long count;
};

// What a step leaves for the host.
struct Record {
    double loss, norm;
    // Whether nothing was updated; the first norm whose rows were not finite, and the last parameter whose gradient was not, or −1.
    int skipped, layer, parameter, unused;
};

// The factor of the gradients, and whether to update.
struct Decision {
    float scale;
    int skip;
};

// Σ g² of every piece, in float64. Grid: pieces.
extern "C" __global__ void __launch_bounds__(THREADS, 4) square_sums(
    const Parameter *__restrict__ parameters, const int2 *__restrict__ pieces, double *__restrict__ sums
) {
    const int2 piece = pieces[blockIdx.x];
    const Parameter parameter = parameters[piece.x];
    const size_t first = static_cast<size_t>(piece.y) * PIECE, left = parameter.count - first;
    const int count = left < PIECE ? static_cast<int>(left) : PIECE;
    const float *gradient = parameter.gradient + first;
    float sum = 0;
    for (int n = 4 * threadIdx.x; n + 4 <= count; n += 4 * THREADS) {
        const float4 g = *reinterpret_cast<const float4 *>(gradient + n);
        sum += g.x * g.x + g.y * g.y + g.z * g.z + g.w * g.w;
    }
    const int rest = count / 4 * 4 + static_cast<int>(threadIdx.x);
    if (rest < count) sum += gradient[rest] * gradient[rest];
    const double total = sum_over<THREADS>(static_cast<double>(sum));
    if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

// The norm, and what follows from it. The loss, which the parts of the step have added up, and the flags of the norms are zero again
// afterwards. One block.
extern "C" __global__ void __launch_bounds__(1024, 1) decide_update(
    const double *__restrict__ sums, const int2 *__restrict__ pieces, const Numbers *__restrict__ numbers, double *__restrict__ loss,
    int *__restrict__ flags, History *__restrict__ history, Decision *__restrict__ decision, Record *__restrict__ record, int pieceCount,
    int flagCount
) {
    double sum = 0;
    int parameter = -1;
    for (int n = threadIdx.x; n < pieceCount; n += 1024) {
        sum += sums[n];
        if (!isfinite(sums[n])) parameter = max(parameter, pieces[n].x);
    }
    int layer = flagCount;
    for (int n = threadIdx.x; n < flagCount; n += 1024) {
        if (flags[n] != 0) layer = min(layer, n);
        flags[n] = 0;
    }
    sum = sum_over<1024>(sum);
    parameter = reduce<1024>(parameter, [](int a, int b) { return max(a, b); });
    layer = reduce<1024>(layer, [](int a, int b) { return min(a, b); });
    if (threadIdx.x != 0) return;
    const double norm = sqrt(sum);
    const bool isSpike = numbers->spike > 0 && history->count >= numbers->patience && norm > numbers->spike * history->mean;
    const bool skip = !isfinite(norm) || !isfinite(*loss) || isSpike;
    decision->scale = numbers->clip > 0 && norm > numbers->clip ? static_cast<float>(numbers->clip / norm) : 1;
    decision->skip = skip;
    record->loss = *loss;
    record->norm = norm;
    record->skipped = skip;
    record->layer = layer == flagCount ? -1 : layer;
    record->parameter = parameter;
    *loss = 0;
    if (skip) return;
    // The mean over all updates at first, later over about the last fifty.
    const double count = static_cast<double>(++history->count);
    history->mean += (norm - history->mean) / (count < 50 ? count : 50);
}

// The update, and zeros in the place of the gradients. Grid: pieces.
extern "C" __global__ void __launch_bounds__(THREADS, 4) adamw(
    const Parameter *__restrict__ parameters, const int2 *__restrict__ pieces, const Numbers *__restrict__ numbers,
    const Decision *__restrict__ decision
) {
    const int2 piece = pieces[blockIdx.x];
    const Parameter parameter = parameters[piece.x];
    const size_t first = static_cast<size_t>(piece.y) * PIECE, left = parameter.count - first;
    const int count = left < PIECE ? static_cast<int>(left) : PIECE;
    float *gradient = parameter.gradient + first;
    const bool skip = decision->skip != 0;
    const float scale = decision->scale, rate = numbers->rate, beta1 = numbers->beta1, beta2 = numbers->beta2, tiny = numbers->epsilon;
    const float keep = 1 - (parameter.decays ? rate * numbers->decay : 0), correction1 = numbers->firstCorrection,
                correction2 = numbers->secondCorrection;
    auto update = [&](float &value, float gradient, float &m, float &v) {
        const float g = gradient * scale;
        m = m * beta1 + g * (1 - beta1);
        v = v * beta2 + g * g * (1 - beta2);
        value = value * keep - rate * (m * correction1) / (sqrtf(v * correction2) + tiny);
    };
    for (int n = 4 * threadIdx.x; n + 4 <= count; n += 4 * THREADS) {
        float4 g = *reinterpret_cast<float4 *>(gradient + n);
        *reinterpret_cast<float4 *>(gradient + n) = make_float4(0, 0, 0, 0);
        if (skip) continue;
        float4 value = *reinterpret_cast<float4 *>(parameter.value + first + n);
        float4 m = *reinterpret_cast<float4 *>(parameter.first + first + n), v = *reinterpret_cast<float4 *>(parameter.second + first + n);
        update(value.x, g.x, m.x, v.x), update(value.y, g.y, m.y, v.y), update(value.z, g.z, m.z, v.z), update(value.w, g.w, m.w, v.w);
        *reinterpret_cast<float4 *>(parameter.value + first + n) = value;
        *reinterpret_cast<float4 *>(parameter.first + first + n) = m;
        *reinterpret_cast<float4 *>(parameter.second + first + n) = v;
#if ACTIVATION == 2
        if (parameter.copy != nullptr)
            *reinterpret_cast<uint2 *>(parameter.copy + first + n) =
                make_uint2(pack_bfloat16(value.x, value.y), pack_bfloat16(value.z, value.w));
#endif
    }
    const int rest = count / 4 * 4 + static_cast<int>(threadIdx.x);
    if (rest >= count) return;
    const float g = gradient[rest];
    gradient[rest] = 0;
    if (skip) return;
    float value = parameter.value[first + rest], m = parameter.first[first + rest], v = parameter.second[first + rest];
    update(value, g, m, v);
    parameter.value[first + rest] = value;
    parameter.first[first + rest] = m;
    parameter.second[first + rest] = v;
    if (parameter.copy != nullptr) parameter.copy[first + rest] = to_activation(value);
}
