// Atomic operations; each returns what was there before.
#pragma once

namespace emulation {

template <typename T, typename Change>
EMULATION_INLINE T exchangeAtomically(T *place, Change change) {
    T before, after;
    __atomic_load(place, &before, __ATOMIC_SEQ_CST);
    do {
        after = change(before);
    } while (!__atomic_compare_exchange(place, &before, &after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return before;
}

}  // namespace emulation

#define EMULATION_ATOMIC(name, type, result) \
    static inline type name(type *place, type value) {                                      \
        return emulation::exchangeAtomically(place, [&](type x) -> type { return result; }); \
    }
#define EMULATION_ATOMICS(type)                                \
    EMULATION_ATOMIC(atomicAdd, type, x + value)               \
    EMULATION_ATOMIC(atomicSub, type, x - value)               \
    EMULATION_ATOMIC(atomicExch, type, ((void)x, value))       \
    EMULATION_ATOMIC(atomicMax, type, x > value ? x : value)   \
    EMULATION_ATOMIC(atomicMin, type, x < value ? x : value)
#define EMULATION_BIT_ATOMICS(type)                            \
    EMULATION_ATOMIC(atomicAnd, type, x &value)                \
    EMULATION_ATOMIC(atomicOr, type, x | value)                \
    EMULATION_ATOMIC(atomicXor, type, x ^ value)               \
    static inline type atomicCAS(type *place, type expected, type value) { \
        return emulation::exchangeAtomically(place, [&](type x) { return x == expected ? value : x; }); \
    }
EMULATION_ATOMICS(int)
EMULATION_ATOMICS(unsigned)
EMULATION_ATOMICS(unsigned long long)
EMULATION_BIT_ATOMICS(int)
EMULATION_BIT_ATOMICS(unsigned)
EMULATION_BIT_ATOMICS(unsigned long long)
EMULATION_ATOMIC(atomicAdd, float, x + value)
EMULATION_ATOMIC(atomicAdd, double, x + value)
EMULATION_ATOMIC(atomicExch, float, ((void)x, value))
EMULATION_ATOMIC(atomicInc, unsigned, x >= value ? 0 : x + 1)
EMULATION_ATOMIC(atomicDec, unsigned, x == 0 || x > value ? value : x - 1)
#undef EMULATION_ATOMICS
#undef EMULATION_BIT_ATOMICS
#undef EMULATION_ATOMIC
