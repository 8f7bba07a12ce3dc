// The states between chunks from the sums of single chunks, which state/update.cu or hopper/state_update.cu left in float32: the running
// decayed sum of the former in the same order, for walks so few that they would leave multiprocessors idle.
//
//     before chunk n            states[n] = coefficient ∘ S, or S itself where SYMMETRIC (hopper/symmetric_state.cuh)
//     over chunk n              S ← exp(G_end) S + sums[n]
//
// and from the last chunk to the first under `reverse`, where states[n] is what comes after chunk n.
//
// `sequences`: first chunk, number of chunks, first sum, number of sums. One chunk less has a sum where nothing reads what the last chunk of
// the walk leaves: `last` is null then. A thread keeps two neighbouring numbers of a row of the state.
//
// Grid: pairs of numbers of a state by THREADS, key heads, sequences.
#include "common/decay.cuh"
#include "common/elements.cuh"
#include "common/exponents.cuh"
#include "common/expansion.cuh"
#include "common/fragments.cuh"
#if SYMMETRIC
#include "hopper/symmetric_state.cuh"
#endif

constexpr int THREADS = 128;
// Sums on their way at once.
constexpr int DEPTH = 8;
static_assert(THREADS % DEPTH == 0, "a thread finds the factors of one chunk at a time");

extern "C" __global__ void __launch_bounds__(THREADS) scan_states(
    const float *__restrict__ sums, const float2 *__restrict__ gates, const unsigned *__restrict__ blocks,
    const float *__restrict__ coefficients, const int *__restrict__ keyExponents, const int *__restrict__ initialExponents,
    const int4 *__restrict__ sequences,
    const int4 *__restrict__ chunks, const float *__restrict__ initial, elem *__restrict__ states, float *__restrict__ last, int tokens,
    int keyHeads, int features, int stride, int reverse
) {
    // Of the chunks of a round: what changes the units of a state, 2^(p(E_before − E_n)), and the decay.
    __shared__ float carries[THREADS], decays[THREADS];
    const int head = blockIdx.y, sequence = blockIdx.z, thread = threadIdx.x;
    const int4 span = sequences[sequence];
    const size_t size = static_cast<size_t>(features) * stride;
    const size_t place = 2 * (static_cast<size_t>(blockIdx.x) * THREADS + thread);
    const bool isUsed = place < size;
    const size_t sequenceState = (static_cast<size_t>(sequence) * keyHeads + head) * size + place;

    auto chunkOf = [&](int step) { return span.x + (reverse ? span.y - 1 - step : step); };
    auto load = [&](int step) {
        if (!isUsed || step >= span.w) return make_float2(0, 0);
        const size_t row = static_cast<size_t>(span.z + (reverse ? span.w - 1 - step : step)) * keyHeads + head;
        return *reinterpret_cast<const float2 *>(sums + row * size + place);
    };

#if SYMMETRIC
    const size_t stateNumbers = STATE_NUMBERS;
    const int feature = place / stride, column = place % stride;
    const unsigned block = isUsed ? blocks[feature / 16] : 0;
    const SymmetricPlace at(block, feature % 16);
#else
    const size_t stateNumbers = size;
    const float coefficient = isUsed ? coefficients[place / stride] : 0;
#endif
    auto store = [&](elem *numbers, float first, float second) {
#if SYMMETRIC
        if (column < VALUE_WIDTH) {
            if (!at.isStored()) return;
            const unsigned pair = pack_bfloat16(first, second);
            *reinterpret_cast<unsigned *>(numbers + at.values(column)) = pair;
        } else if (column == VALUE_WIDTH) {
            at.normalizer([&](int place) { numbers[place] = to_elem(first); });
        }
#elif MATH == 0
        *reinterpret_cast<unsigned *>(numbers + place) = pack_bfloat16(first * coefficient, second * coefficient);
#else
        *reinterpret_cast<float2 *>(numbers + place) = make_float2(first * coefficient, second * coefficient);
#endif
    };
    accumulator state[2] = {};
    if (initial != nullptr && isUsed) state[0] = initial[sequenceState], state[1] = initial[sequenceState + 1];
    for (int round = 0; round < span.y; round += THREADS) {
        __syncthreads();
        if (round + thread < span.y) {
            const int n = chunkOf(round + thread);
            const int exponent = keyExponents[static_cast<size_t>(n) * keyHeads + head];
            const int before = n > span.x ? keyExponents[static_cast<size_t>(n - 1) * keyHeads + head]
                : initialExponents != nullptr ? initialExponents[static_cast<size_t>(sequence) * keyHeads + head]
                                              : exponent;
            carries[thread] = power_of_two(DEGREE * (before - exponent));
            decays[thread] = 1;
            if (gates != nullptr) {
                const int4 chunk = chunks[n];
                decays[thread] = decay_from_start(gates[static_cast<size_t>(head) * tokens + chunk.x + chunk.y - 1]);
            }
        }
        __syncthreads();
        if (!isUsed) continue;
        for (int first = 0; first < THREADS && round + first < span.y; first += DEPTH) {
            float2 sum[DEPTH];
#pragma unroll
            for (int n = 0; n < DEPTH; ++n) sum[n] = load(round + first + n);
#pragma unroll
            for (int n = 0; n < DEPTH; ++n) {
                const int step = round + first + n;
                if (step >= span.y) break;
                const float carry = carries[first + n], factor = decays[first + n];
                if (!reverse) state[0] *= carry, state[1] *= carry;
                if (step > 0 || initial != nullptr) {
                    store(states + (static_cast<size_t>(chunkOf(step)) * keyHeads + head) * stateNumbers, state[0], state[1]);
                }
                state[0] = state[0] * factor + sum[n].x;
                state[1] = state[1] * factor + sum[n].y;
                if (reverse) state[0] *= carry, state[1] *= carry;
            }
        }
    }
    if (last == nullptr || !isUsed) return;
    last[sequenceState] = state[0];
    last[sequenceState + 1] = state[1];
}
