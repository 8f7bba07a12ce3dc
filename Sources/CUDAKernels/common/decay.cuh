// Decays exp(G_i − G_j) from cumulative log-gates in two floats each (hi + lo, base 2): the difference of two close sums keeps its
// digits, and nothing but differences is ever exponentiated.
#pragma once

// A step of this size forgets everything before: log-gates from −1000 down count as closed, and 1000 · log₂e is a little more.
constexpr float CLOSED_EXPONENT = -1442;

__device__ __forceinline__ float decay_exponent(float2 later, float2 earlier) {
    return (later.x - earlier.x) + (later.y - earlier.y);
}

__device__ __forceinline__ float decay(float2 later, float2 earlier) { return exp2f(decay_exponent(later, earlier)); }

// The decay since before the first token of the chunk.
__device__ __forceinline__ float decay_from_start(float2 later) { return exp2f(later.x + later.y); }
