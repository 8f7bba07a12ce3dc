// The values as hopper/state_update.cu sums them: rows [v, extra, 0, …] of VALUE_WIDTH + 8 numbers, multiplied by their tokens' factors: by the
// decay exp(G_end − G_j) to the end of the chunk, or under REVERSE by r_i exp(G_i), the decay from its start, with r_i as for the gradients
// of the queries. `extra` are ones, or given.
//
// Grid: chunks, slices of their rows.
#include "common/decay.cuh"
#include "common/elements.cuh"
#include "common/fragments.cuh"

constexpr int PANELS = VALUE_WIDTH / 8 + 1;
static_assert(MATH == 0, "rows in bfloat16");

__device__ __forceinline__ unsigned scale_pair(unsigned pair, float factor) {
    return pack_bfloat16(low_bfloat16(pair) * factor, high_bfloat16(pair) * factor);
}

extern "C" __global__ void __launch_bounds__(256) scale_values(
    const elem *__restrict__ v, const float *__restrict__ extra, const float *__restrict__ statistics,
    const float2 *__restrict__ gates, const int4 *__restrict__ chunks, elem *__restrict__ values, int tokens, int heads, int group
) {
    const int4 chunk = chunks[blockIdx.x];
    const unsigned pieces = static_cast<unsigned>(chunk.y) * heads * PANELS;
    for (unsigned n = blockIdx.y * 256 + threadIdx.x; n < pieces; n += gridDim.y * 256) {
        const int row = n / PANELS, panel = n % PANELS;
        const size_t place = static_cast<size_t>(chunk.x) * heads + row;
        float factor = 1;
#if REVERSE
        factor = NORMALIZED ? fabsf(statistics[place]) : statistics[place];
#endif
#if GATED
        const float2 *headGates = gates + static_cast<size_t>(row % heads / group) * tokens + chunk.x;
        const float2 gate = headGates[row / heads];
        factor *= REVERSE ? decay_from_start(gate) : decay(headGates[chunk.y - 1], gate);
#endif
        uint4 eight;
        if (panel < PANELS - 1) {
            const uint4 given = *reinterpret_cast<const uint4 *>(v + place * VALUE_WIDTH + 8 * panel);
            eight = make_uint4(
                scale_pair(given.x, factor), scale_pair(given.y, factor), scale_pair(given.z, factor), scale_pair(given.w, factor));
        } else {
            eight = make_uint4(pack_bfloat16(extra == nullptr ? factor : extra[place] * factor, 0), 0, 0, 0);
        }
        *reinterpret_cast<uint4 *>(values + place * (VALUE_WIDTH + 8) + 8 * panel) = eight;
    }
}
