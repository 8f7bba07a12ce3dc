// Calls of a kernel with the driver's array of pointers to its parameters.
#pragma once
#include "arena.hpp"

namespace emulation {

template <typename... Parameters>
struct KernelCall {
    static constexpr u32 count = sizeof...(Parameters);
    static constexpr u32 bytes[count + 1] = {sizeof(Parameters)..., 0};

    // Braces, unlike calls, evaluate from left to right.
    struct Invocation {
        Invocation(void (*kernel)(Parameters...), Parameters... parameters) { kernel(parameters...); }
    };

    static void call(void *function, void **parameters) {
        [[maybe_unused]] u32 n = 0;
        Invocation{reinterpret_cast<void (*)(Parameters...)>(function), load<Parameters>(parameters[n++])...};
    }

private:
    // The host's copy may be less aligned.
    template <typename Parameter>
    static Parameter load(const void *place) {
        Parameter parameter;
        __builtin_memcpy(static_cast<void *>(&parameter), place, sizeof parameter);
        return parameter;
    }
};

template <typename... Parameters>
inline Kernel describe(const char *name, void (*kernel)(Parameters...), u32 maximumThreads) {
    typedef KernelCall<Parameters...> Call;
    return {name, reinterpret_cast<void *>(kernel), Call::call, Call::bytes, Call::count, maximumThreads};
}

}  // namespace emulation
