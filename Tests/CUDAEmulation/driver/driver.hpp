// The driver's own vocabulary: results, and the state that its files share.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "../device/arena.hpp"

#define EXPORTED extern "C" __attribute__((visibility("default")))

enum CUresult : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_TIMEOUT = 702,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    ILLEGAL_STATE = 401,
};

struct Module {
    void *library = nullptr;
    int file = -1;
    void (*runBlock)(emulation::Arena *) = nullptr;
    void (*touchShared)() = nullptr;
    // Bytes of static shared variables.
    size_t staticBytes = 0;

    // Where those of the calling thread are.
    unsigned char *staticShared() const;
};

struct Function {
    Module *module = nullptr;
    emulation::Kernel kernel{};
    int sharedLimit = 48 << 10;
};

typedef std::function<CUresult()> Operation;

struct Graph {
    std::vector<Operation> operations;
};

struct Stream {
    Graph *capture = nullptr;
    // 0 global, 1 of this thread, 2 relaxed.
    int captureMode = 0;
};

// A number from the environment, or `otherwise`.
uint64_t setting(const char *name, uint64_t otherwise);

// Says what went wrong on stderr and in the text of `result` until the next error.
CUresult failure(CUresult result, const std::string &detail);

// What a call answers on a thread without a current context, before all else: most calls need one there.
#define REQUIRE_CONTEXT \
    if (const CUresult missing = contextResult(); missing != SUCCESS) return missing
CUresult contextResult();

// Runs an operation of a stream now, or notes it in the graph that the stream captures.
CUresult submit(Stream *stream, Operation operation);

// Whether a capture forbids calls that are not of a stream.
bool isCapturing();

// Whether `bytes` from an address lie in one allocation.
bool isAllocated(uint64_t address, size_t bytes);

// Where an address lies, for messages.
std::string describeAddress(uint64_t address);

struct Launch {
    const Function *function;
    emulation::Index3 grid, threads;
    uint32_t sharedBytes;
    std::vector<std::vector<unsigned char>> parameters;
};

CUresult run(const Launch &launch);

// Held while a grid runs, and while modules come and go: the loader may give a thread's variables, static shared memory among them, another
// place meanwhile.
std::mutex &turnOfGrids();
