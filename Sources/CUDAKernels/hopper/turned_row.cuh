// Rows of gradients of queries or keys as sums of products, of which a lane has the columns 8n + 2t and 8n + 2t + 1.
#pragma once
#include "common/elements.cuh"

// Turns one of a lane's two rows back by the angles of its token, where rotary positions turned what it is the gradient of: by the pairs (i, i +
// WIDTH / 2), which a lane has both of. `cosines` and `sines` are the WIDTH / 2 numbers of the token.
__device__ __forceinline__ void turn_back(float (&sums)[WIDTH / 2], int half, const float *cosines, const float *sines, int t) {
    static_assert(WIDTH % 16 == 0, "partners stand whole groups of columns apart");
#pragma unroll
    for (int n = 0; n < WIDTH / 16; ++n) {
        const float2 cosine = *reinterpret_cast<const float2 *>(cosines + 8 * n + 2 * t);
        const float2 sine = *reinterpret_cast<const float2 *>(sines + 8 * n + 2 * t);
        float *first = sums + 4 * n + 2 * half, *second = first + WIDTH / 4;
        const float2 one = make_float2(first[0], first[1]), two = make_float2(second[0], second[1]);
        first[0] = one.x * cosine.x + two.x * sine.x, first[1] = one.y * cosine.y + two.y * sine.y;
        second[0] = two.x * cosine.x - one.x * sine.x, second[1] = two.y * cosine.y - one.y * sine.y;
    }
}
