// Blocks of a grid on the threads of a pool, and what happens to those that fail.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>

#include "driver.hpp"

using emulation::Arena;
using emulation::Index3;

namespace {

constexpr size_t sharedSpace = 256 << 10, pageBytes = 4096, canaryBytes = 128;

struct Worker {
    Arena *arena;
    unsigned char *sharedEnd, *staticShared = nullptr;
    sigjmp_buf afterFault;
    int signal = 0;
    uint64_t faultAddress = 0;
    uint32_t faultThread = 0;
};

thread_local Worker *runningWorker;
struct sigaction previousActions[64];
// Ends a kernel that takes too long; whoever gets it outside of a kernel ignores it.
const int timeoutSignal = SIGRTMIN + 7;

uint64_t stackPointer(const ucontext_t *context) {
#if defined(__x86_64__)
    return context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return context->uc_mcontext.sp;
#else
    return 0;
#endif
}

uint32_t threadOfStack(uint64_t place) {
    const uint32_t slot = place / emulation::slotBytes % emulation::slotCount;
    return slot < emulation::firstStackSlot ? 0 : (slot - emulation::firstStackSlot) % emulation::maximumThreads;
}

void handleFault(int signal, siginfo_t *info, void *context) {
    if (Worker *worker = runningWorker) {
        runningWorker = nullptr;
        worker->signal = signal;
        worker->faultAddress = reinterpret_cast<uint64_t>(info->si_addr);
        worker->faultThread = threadOfStack(stackPointer(static_cast<ucontext_t *>(context)));
        siglongjmp(worker->afterFault, 1);
    }
    if (signal == timeoutSignal) return;
    const struct sigaction &previous = previousActions[signal];
    if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, context);
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
    sigaction(signal, &previous, nullptr);
}

void *reserve(size_t bytes) {
    void *mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) abort();
    return mapping;
}

Worker *makeWorker() {
    Worker *worker = new Worker;
    const uint64_t place = reinterpret_cast<uint64_t>(reserve(2 * emulation::arenaBytes));
    worker->arena = reinterpret_cast<Arena *>((place + emulation::arenaBytes - 1) / emulation::arenaBytes * emulation::arenaBytes);
    for (uint32_t n = 0; n < emulation::maximumThreads; ++n) mprotect(worker->arena->stack(n), emulation::guardBytes, PROT_NONE);
    auto *shared = static_cast<unsigned char *>(reserve(sharedSpace + 2 * pageBytes));
    mprotect(shared, pageBytes, PROT_NONE);
    worker->sharedEnd = shared + pageBytes + sharedSpace;
    mprotect(worker->sharedEnd, pageBytes, PROT_NONE);
    stack_t stack{};
    stack.ss_size = 64 << 10;
    stack.ss_sp = malloc(stack.ss_size);
    sigaltstack(&stack, nullptr);
    return worker;
}

std::string text(Index3 index) {
    return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

// What the threads of a block that cannot go on wait for, by warp.
std::string waits(Arena &arena) {
    std::string result;
    for (uint32_t n = 0; n < arena.block.warpCount; ++n) {
        const emulation::Warp &warp = arena.warps[n];
        for (uint32_t lane = 0, listed = 0; lane < 32 && listed < 4; ++lane) {
            const uint32_t bit = 1u << lane;
            if (!(warp.exists & bit)) continue;
            auto state = [&](uint32_t lane) -> std::string {
                if (warp.exited >> lane & 1) return "ended";
                if (warp.atBarrier >> lane & 1) return "__syncthreads";
                return (warp.waiting | warp.blocked) >> lane & 1 ? warp.laneOperation[lane] : "running";
            };
            // The first lane of every run of lanes in one state.
            if (lane > 0 && state(lane) == state(lane - 1)) continue;
            result += "; warp " + std::to_string(n) + " from lane " + std::to_string(lane) + ": " + state(lane);
            ++listed;
        }
    }
    return result;
}

class Run {
public:
    Run(const Launch &launch) : launch(launch), count(uint64_t(launch.grid.x) * launch.grid.y * launch.grid.z) {
        for (const auto &parameter : launch.parameters) parameters.push_back(const_cast<unsigned char *>(parameter.data()));
        // Blocks start in an order that no kernel may expect.
        step = count > 2 ? count * 5 / 8 | 1 : 1;
        auto common = [](uint64_t a, uint64_t b) {
            while (b != 0) std::swap(a %= b, b);
            return a;
        };
        while (common(step, count) != 1) step += 2;
    }

    void work(Worker &worker) {
        if (sigsetjmp(worker.afterFault, 1) != 0) return reportFault(worker);
        worker.staticShared = launch.function->module->staticShared();
        runningWorker = &worker;
        for (uint64_t n; !hasFailed.load() && (n = next.fetch_add(1)) < count;)
            if (!runBlock(worker, n * step % count)) break;
        runningWorker = nullptr;
    }

    CUresult result = SUCCESS;

private:
    bool runBlock(Worker &worker, uint64_t index) {
        emulation::Block &block = worker.arena->block;
        block.grid = launch.grid, block.threads = launch.threads;
        block.index = {
            static_cast<uint32_t>(index % launch.grid.x), static_cast<uint32_t>(index / launch.grid.x % launch.grid.y),
            static_cast<uint32_t>(index / launch.grid.x / launch.grid.y)};
        block.threadCount = launch.threads.x * launch.threads.y * launch.threads.z;
        block.isDescending = index % 2 != 0;
        block.sharedBytes = launch.sharedBytes;
        block.shared = worker.sharedEnd - (launch.sharedBytes + canaryBytes - 1) / canaryBytes * canaryBytes;
        block.call = launch.function->kernel.call, block.function = launch.function->kernel.function;
        block.parameters = parameters.data();
        memset(block.shared - canaryBytes, 0xff, worker.sharedEnd - block.shared + canaryBytes);
        if (worker.staticShared != nullptr) memset(worker.staticShared, 0xff, launch.function->module->staticBytes);
        launch.function->module->runBlock(worker.arena);
        if (block.error != nullptr)
            return report(worker, LAUNCH_FAILED, block.error, block.errorThread, waits(*worker.arena)), false;
        bool isIntact = true;
        for (const unsigned char *p = block.shared - canaryBytes; p < block.shared; ++p) isIntact &= *p == 0xff;
        for (const unsigned char *p = block.shared + block.sharedBytes; p < worker.sharedEnd; ++p) isIntact &= *p == 0xff;
        if (!isIntact) report(worker, ILLEGAL_ADDRESS, "bytes beside the block's shared memory were written", 0, "");
        return isIntact;
    }

    void reportFault(Worker &worker) {
        const emulation::Block &block = worker.arena->block;
        const uint64_t address = worker.faultAddress, stack = address - reinterpret_cast<uint64_t>(worker.arena);
        if (worker.signal == timeoutSignal) return report(worker, LAUNCH_TIMEOUT, "it does not end", worker.faultThread, "");
        if (worker.signal == SIGILL) return report(worker, ILLEGAL_ADDRESS, "an access that is not aligned", worker.faultThread, "");
        if (worker.signal == SIGFPE) return report(worker, LAUNCH_FAILED, "a division by zero", worker.faultThread, "");
        char number[32];
        snprintf(number, sizeof number, "%#llx", static_cast<unsigned long long>(address));
        std::string place = std::string("access of address ") + number;
        const uint64_t shared = address - reinterpret_cast<uint64_t>(block.shared);
        if (shared < sharedSpace + pageBytes) {
            place += ", byte " + std::to_string(shared) + " of shared memory of " + std::to_string(block.sharedBytes);
        } else if (stack < emulation::arenaBytes) {
            place += ", the thread's stack is full";
        } else {
            place += describeAddress(address);
        }
        report(worker, ILLEGAL_ADDRESS, place, worker.faultThread, "");
    }

    // The first failure is the launch's.
    void report(Worker &worker, CUresult code, const std::string &what, uint32_t thread, const std::string &more) {
        std::lock_guard<std::mutex> lock(mutex);
        if (hasFailed.exchange(true)) return;
        result = failure(
            code, std::string("kernel ") + launch.function->kernel.name + ", block " + text(worker.arena->block.index) + ", thread "
                + text(worker.arena->fibers()[thread].thread) + ": " + what + more);
    }

    const Launch &launch;
    const uint64_t count;
    uint64_t step;
    std::vector<void *> parameters;
    std::atomic<uint64_t> next{0};
    std::atomic<bool> hasFailed{false};
    std::mutex mutex;
};

class Pool {
public:
    Pool() : size(setting("POWER_CUDA_EMULATION_THREADS", std::max(1u, std::thread::hardware_concurrency()))) {
        struct sigaction action{};
        action.sa_sigaction = handleFault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, timeoutSignal}) sigaction(signal, &action, &previousActions[signal]);
        for (uint64_t n = 0; n < size; ++n) threads.emplace_back([this] { serve(); });
    }

    // One grid at a time.
    void run(Run &run) {
        std::lock_guard<std::mutex> turn(turnOfGrids());
        std::unique_lock<std::mutex> lock(mutex);
        current = &run;
        busy = size;
        ++generation;
        start.notify_all();
        const auto limit = std::chrono::seconds(setting("POWER_CUDA_EMULATION_SECONDS", 600));
        while (!end.wait_for(lock, limit, [this] { return busy == 0; }))
            for (std::thread &thread : threads) pthread_kill(thread.native_handle(), timeoutSignal);
    }

private:
    void serve() {
        Worker *worker = makeWorker();
        std::unique_lock<std::mutex> lock(mutex);
        for (uint64_t seen = 0;;) {
            start.wait(lock, [&] { return generation != seen; });
            seen = generation;
            lock.unlock();
            current->work(*worker);
            lock.lock();
            if (--busy == 0) end.notify_one();
        }
    }

    const uint64_t size;
    std::vector<std::thread> threads;
    uint64_t busy = 0, generation = 0;
    Run *current = nullptr;
    std::mutex mutex;
    std::condition_variable start, end;
};

}  // namespace

std::mutex &turnOfGrids() {
    static std::mutex *mutex = new std::mutex;
    return *mutex;
}

CUresult run(const Launch &launch) {
    // Lives as long as its threads.
    static Pool *pool = new Pool;
    Run run(launch);
    pool->run(run);
    return run.result;
}
