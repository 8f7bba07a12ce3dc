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

// The running thread, from its stack pointer alone.
struct Self {
    Arena &arena;
    u32 index;

    u32 lane() const { return index % 32; }
    u32 bit() const { return 1u << index % 32; }
    Warp &warp() const { return arena.warps[index / 32]; }
    WarpGroup &group() const { return arena.groups[index / groupThreads]; }
    Fiber &fiber() const { return arena.fibers()[index]; }
};

EMULATION_INLINE Self self() {
    const u64 place = reinterpret_cast<u64>(__builtin_frame_address(0));
    return {*reinterpret_cast<Arena *>(place & ~(arenaBytes - 1)), static_cast<u32>(place / slotBytes % slotCount) - firstStackSlot};
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
          "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc"
#ifdef __AVX512F__
          , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28",
          "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#endif
    );
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

EMULATION_NOINLINE void prepareContext(Context &context, unsigned char *bottom, unsigned char *top, void (*start)()) {
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
    const Self me = self();
    me.arena.block.error = message;
    me.arena.block.errorThread = me.index;
    switchContext(&me.fiber().context, &me.arena.block.main);
    __builtin_unreachable();
}

EMULATION_INLINE u32 firstLane(const Block &block, u32 lanes) {
    return block.isDescending ? 31 - __builtin_clz(lanes) : __builtin_ctz(lanes);
}

// Of the next warp that can run, or null.
EMULATION_NOINLINE Context *contextOfAnotherWarp(const Self &me) {
    const Block &block = me.arena.block;
    for (u32 n = 1; n < block.warpCount; ++n) {
        const u32 index = (me.index / 32 + (block.isDescending ? block.warpCount - n : n)) % block.warpCount;
        const u32 runnable = me.arena.warps[index].runnable;
        if (runnable != 0) return &me.arena.fibers()[index * 32 + firstLane(block, runnable)].context;
    }
    return nullptr;
}

EMULATION_NOINLINE Context *contextOfAnother(const Self &me) {
    Block &block = me.arena.block;
    const u32 own = me.warp().runnable, lane = me.lane();
    const u32 others = block.isDescending ? own & ((1u << lane) - 1) : lane == 31 ? 0 : own & ~0u << (lane + 1);
    if (own != 0) return &me.arena.fibers()[me.index / 32 * 32 + firstLane(block, others != 0 ? others : own)].context;
    if (Context *other = contextOfAnotherWarp(me)) return other;
    if (block.live > 0) {
        block.error = "deadlock";
        block.errorThread = me.index;
    }
    return &block.main;
}

// Lets the next fiber run; returns when this one is runnable and has its turn.
EMULATION_INLINE void suspend(const Self &me) {
    Warp &warp = me.warp();
    const u32 runnable = warp.runnable & ~me.bit();
    warp.runnable = runnable;
    // Lanes in lockstep: a guess that the processor predicts, instead of a chain of loads.
    const u32 neighbour = (me.arena.block.isDescending ? me.index - 1 : me.index + 1) % 32;
    Context *next = &me.arena.fibers()[(me.index & ~31u) + neighbour].context;
    if (__builtin_expect(!(runnable >> neighbour & 1), 0)) next = contextOfAnother(me);
    switchContext(&me.fiber().context, next);
}

// Lets other warps run until they wait, those that can.
EMULATION_NOINLINE void giveWay(const Self &me) {
    if (Context *other = contextOfAnotherWarp(me)) switchContext(&me.fiber().context, other);
}

// Waits until another thread lets go of the place.
EMULATION_INLINE void waitAt(const Self &me, const char *operation, const void *place) {
    Warp &warp = me.warp();
    warp.laneOperation[me.lane()] = operation;
    warp.lanePlace[me.lane()] = place;
    warp.blocked |= me.bit();
    suspend(me);
}

EMULATION_INLINE u32 lanesAt(const Warp &warp, const void *place) {
    u32 lanes = 0;
    for (u32 rest = warp.blocked; rest != 0; rest &= rest - 1) {
        const u32 lane = __builtin_ctz(rest);
        if (warp.lanePlace[lane] == place) lanes |= 1u << lane;
    }
    return lanes;
}

EMULATION_NOINLINE void letGo(Arena &arena, const void *place) {
    for (u32 n = 0; n < arena.block.warpCount; ++n) {
        Warp &warp = arena.warps[n];
        const u32 lanes = lanesAt(warp, place);
        warp.blocked &= ~lanes;
        warp.runnable |= lanes;
    }
}

[[noreturn]] EMULATION_NOINLINE void failOfOperations() { fail("lanes of one warp meet at different operations"); }

EMULATION_NOINLINE void verifyPart(const Self &me, const char *operation, u32 mask) {
    const Warp &warp = me.warp();
    for (u32 lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1 && (warp.laneOperation[lane] != operation || (warp.laneMask[lane] & warp.exists) != mask))
            fail("lanes of one mask meet at different operations or with different masks");
}

// The lanes of `mask` meet at an operation: the last one to arrive executes it for all.
template <typename Execute>
EMULATION_INLINE void meet(const Self &me, const char *operation, u32 mask, Execute execute) {
    Warp &warp = me.warp();
    const u32 exists = warp.exists, lane = me.lane();
    warp.laneOperation[lane] = operation;
    mask &= exists;
    const u32 waiting = warp.waiting | me.bit();
    if (__builtin_expect(mask == exists, 1)) {
        // The first to arrive says what the warp meets at.
        if (waiting == me.bit()) warp.operation = operation;
        if (warp.operation != operation) failOfOperations();
    } else {
        if (!(mask & me.bit())) fail("a lane is not in its own mask");
        warp.laneMask[lane] = mask;
    }
    warp.waiting = waiting;
    if ((waiting & mask) != mask) return suspend(me);
    if (mask != exists) verifyPart(me, operation, mask);
    execute(warp);
    warp.waiting = waiting & ~mask;
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
    const Self me = self();
    Block &block = me.arena.block;
    block.anyPredicate |= predicate != 0;
    block.allPredicates &= predicate != 0;
    block.predicateCount += predicate != 0;
    me.warp().atBarrier |= me.bit();
    if (++block.arrived == block.live) {
        releaseBarrier(block);
    } else {
        suspend(me);
    }
    return block.barrierResult[result];
}

static void startFiber() {
    const Self me = self();
    Block &block = me.arena.block;
    block.call(block.function, block.parameters);
    if (me.fiber().stores.count > 0) fail("a thread ends before its bulk copies are over");
    me.warp().exited |= me.bit();
    if (--block.live > 0 && block.arrived == block.live) releaseBarrier(block);
    suspend(me);
    __builtin_unreachable();
}

}  // namespace emulation

// Makes the static shared variables of this OS thread, all of its variables in the module, exist.
extern "C" __attribute__((visibility("default"))) void emulation_touch_shared() {
    static thread_local volatile unsigned char anchor;
    anchor = 1;
}

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
        warp.waiting = warp.atBarrier = warp.exited = warp.blocked = 0;
    }
    for (NamedBarrier &named : block.named) named = {};
    for (WarpGroup &group : arena->groups) group.arrived = group.live = group.operandCount = 0;
    for (u32 n = 0; n < block.threadCount; ++n) {
        Fiber &fiber = arena->fibers()[n];
        fiber.thread = {n % block.threads.x, n / block.threads.x % block.threads.y, n / (block.threads.x * block.threads.y)};
        fiber.copies.first = fiber.copies.count = fiber.copies.groupCount = 0;
        fiber.stores.count = fiber.stores.groupCount = 0;
        fiber.products = {};
        // Stacks of a warp begin in different lines of the cache.
        unsigned char *top = arena->stack(n) + slotBytes - 128 * (1 + n % 32);
        prepareContext(fiber.context, arena->stack(n) + guardBytes, top, startFiber);
    }
    prepareMain(block.main);
    switchContext(&block.main, &arena->fibers()[block.isDescending ? block.threadCount - 1 : 0].context);
}
