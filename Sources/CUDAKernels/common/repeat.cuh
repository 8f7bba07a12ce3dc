// Loops whose turns know their number when they are compiled.
#pragma once

template <int number>
struct Constant {
    static constexpr int value = number;
};

// body(Constant<0>), …, body(Constant<count − 1>).
template <int count, int first = 0, typename Body>
__device__ __forceinline__ void repeat(Body body) {
    if constexpr (first < count) {
        body(Constant<first>());
        repeat<count, first + 1>(body);
    }
}
