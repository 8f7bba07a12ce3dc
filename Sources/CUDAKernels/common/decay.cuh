// Decays exp(G_i − G_j) from cumulative log-gates in two floats each (hi + lo, base 2): the difference of two close sums keeps its
// digits, and nothing but differences is ever exponentiated.
#pragma once

// A step of this size forgets everything before: log-gates from −1000 down count as closed, and 1000 · log₂e is a little more.
constexpr float CLOSED_EXPONENT = -1442;

__device__ __forceinline__ float decay_exponent(float2 later, float2 earlier) {
    return (later.x - earlier.x) + (later.y - earlier.y);
}

// Decays within 64 tokens that together take no more than this are products of one to the first or last of them and of the inverse of
// another, which no weight loses digits by.
constexpr float MILD_EXPONENT = 24;

__device__ __forceinline__ float decay(float2 later, float2 earlier) { return exp2f(decay_exponent(later, earlier)); }

// The decay where `later` is not before `earlier`, else 1.
__device__ __forceinline__ float seen_decay(float2 later, float2 earlier) { return exp2f(fminf(decay_exponent(later, earlier), 0)); }

// Whether a token sees no other: there is nothing before it, or its gate closes what is. `gates` are those of its key head; none without
// gates.
__device__ __forceinline__ bool is_alone(int token, int chunkStart, bool isFirst, const float2 *gates) {
    if (isFirst && token == chunkStart) return true;
    if (gates == nullptr) return false;
    const float2 gate = gates[token];
    return (token == chunkStart ? gate.x + gate.y : decay_exponent(gate, gates[token - 1])) <= CLOSED_EXPONENT;
}

// The decay since before the first token of the chunk.
__device__ __forceinline__ float decay_from_start(float2 later) { return exp2f(later.x + later.y); }
