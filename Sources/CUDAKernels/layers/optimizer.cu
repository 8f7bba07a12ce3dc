// AdamW over all parameters of a model, in one launch, with the norm of all gradients before it.
//
// The parameters are cut into pieces of PIECE numbers, and a table says where each is: one look-up, after which nothing waits for anything but
// its own numbers. Nothing that changes from step to step is an argument: the launches can be recorded once.
#include "layers/activations.cuh"
#include "layers/reduction.cuh"

constexpr int THREADS = 256, PIECE = 4096;
// Groups of four numbers of each array that a thread of the update has under way, and blocks of a piece.
constexpr int GROUPS = 2, SPAN = 4 * THREADS * GROUPS, SPANS = PIECE / SPAN;
static_assert(SPANS * SPAN == PIECE, "whole spans");

// As many numbers of a parameter, or those that are left at its end.
struct alignas(16) Piece {
    float *value, *gradient, *first, *second;
    // The value in the type of activations; null where that is float32 or nobody multiplies by it.
    activation *copy;
    int parameter;
    short count;
    // Whether weight decay applies, and whether the gradient stays, because the next one takes its place.
    bool decays, keepsGradient;
};
static_assert(sizeof(Piece) == 48, "six words, as the host writes them");

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
extern "C" __global__ void __launch_bounds__(THREADS, 4) square_sums(const Piece *__restrict__ pieces, double *__restrict__ sums) {
    const float *gradient = pieces[blockIdx.x].gradient;
    const int count = pieces[blockIdx.x].count;
    float4 groups[PIECE / (4 * THREADS)];
#pragma unroll
    for (int i = 0; i < PIECE / (4 * THREADS); ++i) {
        const int n = 4 * (i * THREADS + static_cast<int>(threadIdx.x));
        groups[i] = n + 4 <= count ? *reinterpret_cast<const float4 *>(gradient + n) : make_float4(0, 0, 0, 0);
    }
    float sum = 0;
#pragma unroll
    for (const float4 &g : groups) sum += g.x * g.x + g.y * g.y + g.z * g.z + g.w * g.w;
    const int rest = count / 4 * 4 + static_cast<int>(threadIdx.x);
    if (rest < count) sum += gradient[rest] * gradient[rest];
    const double total = sum_over<THREADS>(static_cast<double>(sum));
    if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

// The norm, and what follows from it. The loss, which the parts of the step have added up, and the flags of the norms are zero again
// afterwards. One block.
extern "C" __global__ void __launch_bounds__(1024, 1) decide_update(
    const double *__restrict__ sums, const Piece *__restrict__ pieces, const Numbers *__restrict__ numbers, double *__restrict__ loss,
    int *__restrict__ flags, History *__restrict__ history, Decision *__restrict__ decision, Record *__restrict__ record, int pieceCount,
    int flagCount
) {
    double sum = 0;
    int parameter = -1;
    for (int n = threadIdx.x; n < pieceCount; n += 1024) {
        sum += sums[n];
        if (!isfinite(sums[n])) parameter = max(parameter, pieces[n].parameter);
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

// The update, and zeros in the place of gradients that are not kept. Grid: spans of pieces.
//
// Zeros are written last, when the gradients have long come: a write to a line that the memory has still to bring holds up what is behind it.
extern "C" __global__ void __launch_bounds__(THREADS, 4) adamw(
    const Piece *__restrict__ pieces, const Numbers *__restrict__ numbers, const Decision *__restrict__ decision
) {
    const Piece piece = pieces[blockIdx.x / SPANS];
    const int thread = threadIdx.x, start = blockIdx.x % SPANS * SPAN, count = piece.count;
    // Of the numbers behind the last whole group, the first block of a piece takes care.
    const int rest = count / 4 * 4 + thread;
    const bool hasRest = start == 0 && rest < count;
    auto place = [&](int group) { return start + 4 * (group * THREADS + thread); };
    auto at = [](float *array, int place) -> float4 & { return *reinterpret_cast<float4 *>(array + place); };
    if (decision->skip) {
        if (piece.keepsGradient) return;
#pragma unroll
        for (int i = 0; i < GROUPS; ++i)
            if (place(i) + 4 <= count) at(piece.gradient, place(i)) = make_float4(0, 0, 0, 0);
        if (hasRest) piece.gradient[rest] = 0;
        return;
    }
    const float scale = decision->scale, rate = numbers->rate, beta1 = numbers->beta1, beta2 = numbers->beta2, tiny = numbers->epsilon;
    const float keep = piece.decays ? 1 - __fmul_rn(rate, numbers->decay) : 1, correction1 = numbers->firstCorrection,
                correction2 = numbers->secondCorrection;
    // What is rounded is said, so that it depends neither on the compiler nor on where a number stands.
    auto update = [&](float &value, float gradient, float &m, float &v) {
        const float g = gradient * scale;
        m = fmaf(g, 1 - beta1, __fmul_rn(m, beta1));
        v = fmaf(g * g, 1 - beta2, __fmul_rn(v, beta2));
        value = __fmul_rn(value, keep) - rate * (m * correction1) / (sqrtf(v * correction2) + tiny);
    };
    float4 gradients[GROUPS], values[GROUPS], firsts[GROUPS], seconds[GROUPS];
#pragma unroll
    for (int i = 0; i < GROUPS; ++i) {
        if (place(i) + 4 > count) continue;
        gradients[i] = at(piece.gradient, place(i)), values[i] = at(piece.value, place(i));
        firsts[i] = at(piece.first, place(i)), seconds[i] = at(piece.second, place(i));
    }
#pragma unroll
    for (int i = 0; i < GROUPS; ++i) {
        if (place(i) + 4 > count) continue;
        float4 &value = values[i], &m = firsts[i], &v = seconds[i];
        const float4 g = gradients[i];
        update(value.x, g.x, m.x, v.x), update(value.y, g.y, m.y, v.y), update(value.z, g.z, m.z, v.z), update(value.w, g.w, m.w, v.w);
        at(piece.value, place(i)) = value, at(piece.first, place(i)) = m, at(piece.second, place(i)) = v;
#if ACTIVATION == 2
        if (piece.copy != nullptr)
            *reinterpret_cast<uint2 *>(piece.copy + place(i)) =
                make_uint2(pack_bfloat16(value.x, value.y), pack_bfloat16(value.z, value.w));
#endif
        if (!piece.keepsGradient) at(piece.gradient, place(i)) = make_float4(0, 0, 0, 0);
    }
    if (!hasRest) return;
    float value = piece.value[rest], m = piece.first[rest], v = piece.second[rest];
    update(value, piece.gradient[rest], m, v);
    piece.value[rest] = value, piece.first[rest] = m, piece.second[rest] = v;
    if (piece.copy != nullptr) piece.copy[rest] = to_activation(value);
    if (!piece.keepsGradient) piece.gradient[rest] = 0;
}
