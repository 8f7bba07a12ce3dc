// Operations that the lanes of a warp do together.
#pragma once

namespace emulation {

// Every lane gives a word, and takes that of lane `source`.
EMULATION_NOINLINE u64 shuffle(const char *operation, u32 mask, u64 value, u32 source) {
    const Self me = self();
    me.warp().in.values[me.lane()] = value;
    meet(me, operation, mask, [mask](Warp &warp) {
        for (u32 lane = 0; lane < 32; ++lane)
            if (mask >> lane & 1) warp.out.values[lane] = warp.in.values[lane];
    });
    // What a lane outside of the mask holds is not defined.
    if (!((mask & me.warp().exists) >> source & 1)) return ~0ull;
    return me.warp().out.values[source];
}

template <typename T>
EMULATION_INLINE T shuffleNumber(const char *operation, u32 mask, T value, u32 source) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "words of 4 or 8 bytes");
    u64 word = 0;
    __builtin_memcpy(&word, &value, sizeof value);
    word = shuffle(operation, mask, word, source);
    __builtin_memcpy(&value, &word, sizeof value);
    return value;
}

// The predicates of the lanes of the mask.
EMULATION_NOINLINE u32 ballot(const char *operation, u32 mask, bool predicate) {
    const Self me = self();
    me.warp().in.values[me.lane()] = predicate;
    meet(me, operation, mask, [mask](Warp &warp) {
        u64 result = 0;
        for (u32 lane = 0; lane < 32; ++lane)
            if ((mask & warp.exists) >> lane & 1) result |= warp.in.values[lane] << lane;
        for (u32 lane = 0; lane < 32; ++lane)
            if (mask >> lane & 1) warp.out.values[lane] = result;
    });
    return static_cast<u32>(me.warp().out.values[me.lane()]);
}

template <typename T, typename Combine>
EMULATION_INLINE T reduce(const char *operation, u32 mask, T value, Combine combine) {
    const Self me = self();
    me.warp().in.values[me.lane()] = static_cast<u64>(value);
    meet(me, operation, mask, [mask, combine](Warp &warp) {
        const u32 members = mask & warp.exists;
        T result = static_cast<T>(warp.in.values[__builtin_ctz(members)]);
        for (u32 lane = __builtin_ctz(members) + 1; lane < 32; ++lane)
            if (members >> lane & 1) result = combine(result, static_cast<T>(warp.in.values[lane]));
        for (u32 lane = 0; lane < 32; ++lane)
            if (members >> lane & 1) warp.out.values[lane] = static_cast<u64>(result);
    });
    return static_cast<T>(me.warp().out.values[me.lane()]);
}

}  // namespace emulation

template <typename T>
static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    const unsigned lane = emulation::self().lane(), first = lane & ~(width - 1u);
    return emulation::shuffleNumber("__shfl_sync", mask, value, first + (static_cast<unsigned>(source) & (width - 1u)));
}

template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T value, int difference, int width = 32) {
    const unsigned lane = emulation::self().lane(), source = lane ^ difference;
    return emulation::shuffleNumber("__shfl_xor_sync", mask, value, source / width <= lane / width ? source : lane);
}

template <typename T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    const unsigned lane = emulation::self().lane(), source = lane + distance;
    return emulation::shuffleNumber("__shfl_down_sync", mask, value, source / width == lane / width ? source : lane);
}

template <typename T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    const unsigned lane = emulation::self().lane();
    return emulation::shuffleNumber("__shfl_up_sync", mask, value, lane % width >= distance ? lane - distance : lane);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate) { return emulation::ballot("__ballot_sync", mask, predicate != 0); }
static inline int __any_sync(unsigned mask, int predicate) { return emulation::ballot("__any_sync", mask, predicate != 0) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return emulation::ballot("__all_sync", mask, predicate == 0) == 0; }
static inline void __syncwarp(unsigned mask = ~0u) { emulation::ballot("__syncwarp", mask, false); }

template <typename T>
static inline T __reduce_add_sync(unsigned mask, T value) {
    return emulation::reduce("__reduce_add_sync", mask, value, [](T x, T y) { return x + y; });
}
template <typename T>
static inline T __reduce_max_sync(unsigned mask, T value) {
    return emulation::reduce("__reduce_max_sync", mask, value, [](T x, T y) { return x > y ? x : y; });
}
template <typename T>
static inline T __reduce_min_sync(unsigned mask, T value) {
    return emulation::reduce("__reduce_min_sync", mask, value, [](T x, T y) { return x < y ? x : y; });
}
