// A row of a gradient of queries or keys, of which a lane has the columns 8n + 2t and 8n + 2t + 1: it is turned back by the angles of its token
// where rotary positions turned what it is the gradient of, and stored.
#pragma once
#include "common/output.cuh"

struct TurnedRow {
    float2 pairs[WIDTH / 8];

    // By the pairs (i, i + WIDTH / 2), which a lane has both of; `cosines` and `sines` are the WIDTH / 2 numbers of the token.
    __device__ __forceinline__ void turn_back(const float *cosines, const float *sines, int t) {
        constexpr int half = WIDTH / 16;
        static_assert(2 * half == WIDTH / 8, "partners stand whole groups of columns apart");
#pragma unroll
        for (int n = 0; n < half; ++n) {
            const float2 cosine = *reinterpret_cast<const float2 *>(cosines + 8 * n + 2 * t);
            const float2 sine = *reinterpret_cast<const float2 *>(sines + 8 * n + 2 * t);
            const float2 first = pairs[n], second = pairs[n + half];
            pairs[n] = make_float2(first.x * cosine.x + second.x * sine.x, first.y * cosine.y + second.y * sine.y);
            pairs[n + half] = make_float2(second.x * cosine.x - first.x * sine.x, second.y * cosine.y - first.y * sine.y);
        }
    }

    // To the row that begins at element `first`.
    __device__ __forceinline__ void store(input *rows, size_t first, int width, int t) const {
#pragma unroll
        for (int n = 0; n < WIDTH / 8; ++n) {
            if (width == WIDTH)
                *reinterpret_cast<unsigned *>(rows + first + 8 * n + 2 * t) = pack_bfloat16(pairs[n].x, pairs[n].y);
            else
                store_pair(rows, first, 8 * n + 2 * t, width, pairs[n].x, pairs[n].y);
        }
    }
};
