// Threads of a block take turns on one OS thread: a fiber runs until it meets others, at an operation of its warp or at a barrier.
#pragma once
#include "arena.hpp"

#if !defined(__x86_64__) || defined(EMULATION_UCONTEXT)
#define EMULATION_USES_UCONTEXT
#include <ucontext.h>
#endif

#define EMULATION_NOINLINE static __attribute__((noinline, unused))
#define EMULATION_INLINE static inline __attribute__((always_inline))

namespace emulation {

EMULATION_INLINE Arena &arena() {
    return *reinterpret_cast<Arena *>(reinterpret_cast<u64>(__builtin_frame_address(0)) & ~(arenaBytes - 1));
}

EMULATION_INLINE Fiber &self() {
    const u64 place = reinterpret_cast<u64>(__builtin_frame_address(0));
    Fiber *fibers = reinterpret_cast<Fiber *>((place & ~(arenaBytes - 1)) + fiberSlot * slotBytes);
    return fibers[place / slotBytes % slotCount];
}

#ifndef EMULATION_USES_UCONTEXT

// Inlined, without call and return, so that the processor predicts the returns of fibers in lockstep.
EMULATION_INLINE void switchContext(Context *from, Context *to) {
    asm volatile(
        "leaq 1f(%%rip), %%rax\n\t"
        "movq %%rsp, 0(%0)\n\t"
        "movq %%rbp, 8(%0)\n\t"
        "movq %%rax, 16(%0)\n\t"
        "movq 0(%1), %%rsp\n\t"
        "movq 8(%1), %%rbp\n\t"
        "jmpq *16(%1)\n\t"
        "1:"
        : "+D"(from), "+S"(to)
        :
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
          "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}

EMULATION_INLINE void prepareContext(Context &context, unsigned char *, unsigned char *top, void (*start)()) {
    // As a call leaves the stack.
    context = {top - 8, nullptr, reinterpret_cast<void *>(start)};
}

EMULATION_INLINE void prepareMain(Context &) {}

#else

EMULATION_INLINE void switchContext(Context *from, Context *to) {
    swapcontext(static_cast<ucontext_t *>(from->stack), static_cast<ucontext_t *>(to->stack));
}

EMULATION_INLINE void prepareContext(Context &context, unsigned char *bottom, unsigned char *top, void (*start)()) {
    ucontext_t *state = reinterpret_cast<ucontext_t *>(bottom);
    getcontext(state);
    state->uc_stack.ss_sp = bottom + (sizeof(ucontext_t) + 63) / 64 * 64;
    state->uc_stack.ss_size = top - static_cast<unsigned char *>(state->uc_stack.ss_sp);
    state->uc_link = nullptr;
    makecontext(state, start, 0);
    context.stack = state;
}

EMULATION_INLINE void prepareMain(Context &context) {
    static thread_local ucontext_t state;
    context.stack = &state;
}

#endif

// Ends the launch: the fibers of the block are dropped where they are.
[[noreturn]] EMULATION_NOINLINE void fail(const char *message) {
    Block &block = arena().block;
    Fiber &fiber = self();
    block.error = message;
    block.errorThread = static_cast<u32>(&fiber - arena().fibers());
    switchContext(&fiber.context, &block.main);
    __builtin_unreachable();
}

EMULATION_INLINE u32 nextLane(const Block &block, u32 runnable, u32 bit) {
    if (block.isDescending) {
        const u32 below = runnable & (bit - 1);
        return 31 - __builtin_clz(below ? below : runnable);
    }
    const u32 above = runnable & ~(bit | (bit - 1));
    return __builtin_ctz(above ? above : runnable);
}

EMULATION_NOINLINE Context *contextOfAnotherWarp(Block &block, const Warp &warp) {
    for (u32 n = 1; n <= block.warpCount; ++n) {
        const u32 index = (warp.index + (block.isDescending ? block.warpCount - n % block.warpCount : n)) % block.warpCount;
        const Warp &other = arena().warps[index];
        if (other.runnable == 0) continue;
        const u32 lane = block.isDescending ? 31 - __builtin_clz(other.runnable) : __builtin_ctz(other.runnable);
        block.current = index * 32 + lane;
        return &arena().fibers()[block.current].context;
    }
    if (block.live > 0) {
        block.error = "deadlock";
        block.errorThread = block.current;
    }
    return &block.main;
}

// Lets the next fiber run; returns when this one is runnable and has its turn.
EMULATION_NOINLINE void suspend(Fiber &fiber, Warp &warp) {
    Block &block = arena().block;
    warp.runnable &= ~fiber.bit;
    if (warp.runnable != 0) {
        block.current = warp.index * 32 + nextLane(block, warp.runnable, fiber.bit);
        switchContext(&fiber.context, &arena().fibers()[block.current].context);
    } else {
        switchContext(&fiber.context, contextOfAnotherWarp(block, warp));
    }
}

// The lanes of `mask` meet at an operation: the last one to arrive executes it for all.
template <typename Execute>
EMULATION_INLINE void meet(Fiber &fiber, const char *operation, u32 mask, Execute execute) {
    Warp &warp = *fiber.warp;
    warp.laneOperation[fiber.lane] = operation;
    warp.laneMask[fiber.lane] = mask;
    mask &= warp.exists;
    if (mask == warp.exists) {
        if (warp.waiting == 0) warp.operation = operation;
        if (warp.operation != operation) fail("lanes of one warp meet at different operations");
    } else if (!(mask & fiber.bit)) {
        fail("a lane is not in its own mask");
    }
    warp.waiting |= fiber.bit;
    if ((warp.waiting & mask) != mask) return suspend(fiber, warp);
    if (mask != warp.exists)
        for (u32 lane = 0; lane < 32; ++lane)
            if (mask >> lane & 1 && (warp.laneOperation[lane] != operation || (warp.laneMask[lane] & warp.exists) != mask))
                fail("lanes of one mask meet at different operations or with different masks");
    execute(warp);
    warp.waiting &= ~mask;
    warp.runnable |= mask;
}

EMULATION_INLINE void releaseBarrier(Block &block) {
    block.barrierResult[0] = block.anyPredicate;
    block.barrierResult[1] = block.allPredicates;
    block.barrierResult[2] = block.predicateCount;
    block.anyPredicate = 0, block.allPredicates = 1, block.predicateCount = 0, block.arrived = 0;
    for (u32 n = 0; n < block.warpCount; ++n) {
        Warp &warp = arena().warps[n];
        warp.runnable |= warp.atBarrier;
        warp.atBarrier = 0;
    }
}

// All threads of the block that have not ended meet. Returns whether any predicate holds, whether all do, or how many.
EMULATION_NOINLINE int barrier(int predicate, int result) {
    Block &block = arena().block;
    Fiber &fiber = self();
    block.anyPredicate |= predicate != 0;
    block.allPredicates &= predicate != 0;
    block.predicateCount += predicate != 0;
    fiber.warp->atBarrier |= fiber.bit;
    if (++block.arrived == block.live) {
        releaseBarrier(block);
    } else {
        suspend(fiber, *fiber.warp);
    }
    return block.barrierResult[result];
}

static void startFiber() {
    Block &block = arena().block;
    block.call(block.function, block.parameters);
    Fiber &fiber = self();
    fiber.warp->exited |= fiber.bit;
    if (--block.live > 0 && block.arrived == block.live) releaseBarrier(block);
    suspend(fiber, *fiber.warp);
    __builtin_unreachable();
}

}  // namespace emulation

// Runs the block that the arena describes. On return `error` is null or says why the block was given up.
extern "C" __attribute__((visibility("default"))) void emulation_run_block(emulation::Arena *arena) {
    using namespace emulation;
    Block &block = arena->block;
    block.live = block.threadCount, block.warpCount = (block.threadCount + 31) / 32;
    block.arrived = 0, block.error = nullptr;
    block.anyPredicate = 0, block.allPredicates = 1, block.predicateCount = 0;
    for (u32 n = 0; n < block.warpCount; ++n) {
        Warp &warp = arena->warps[n];
        const u32 lanes = block.threadCount - n * 32;
        warp.index = n;
        warp.exists = warp.runnable = lanes >= 32 ? ~0u : (1u << lanes) - 1;
        warp.waiting = warp.atBarrier = warp.exited = 0;
    }
    for (u32 n = 0; n < block.threadCount; ++n) {
        Fiber &fiber = arena->fibers()[n];
        fiber.thread = {n % block.threads.x, n / block.threads.x % block.threads.y, n / (block.threads.x * block.threads.y)};
        fiber.lane = n % 32, fiber.bit = 1u << n % 32;
        fiber.warp = &arena->warps[n / 32];
        fiber.copies.first = fiber.copies.count = fiber.copies.groupCount = 0;
        // Stacks of a warp begin in different lines of the cache.
        unsigned char *top = arena->stack(n) + slotBytes - 128 * (1 + n % 32);
        prepareContext(fiber.context, arena->stack(n) + guardBytes, top, startFiber);
    }
    prepareMain(block.main);
    block.current = block.isDescending ? block.threadCount - 1 : 0;
    switchContext(&block.main, &arena->fibers()[block.current].context);
}
