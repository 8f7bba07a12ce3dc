// Initialization, devices and contexts: one card, one context.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <tuple>

#include "driver.hpp"

namespace {

std::mutex detailMutex;
std::string detailText;
thread_local std::vector<void *> contexts;
int contextTag;
std::atomic<bool> isInitialized;

struct ErrorName {
    CUresult result;
    const char *name, *text;
};

const ErrorName errorNames[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
};

// By the driver's numbers.
const std::map<int, int> attributes = {
    {1, 1024},        // threads of a block
    {2, 1024},        // of its x
    {3, 1024},        // of its y
    {4, 64},          // of its z
    {5, 2147483647},  // grid x
    {6, 65535},       // grid y
    {7, 65535},       // grid z
    {8, 48 << 10},    // shared memory of a block
    {9, 64 << 10},    // constant memory
    {10, 32},         // lanes of a warp
    {12, 64 << 10},   // registers of a block
    {13, 1980000},    // clock, kHz
    {31, 1},          // concurrent kernels
    {36, 2619000},    // clock of the memory, kHz
    {37, 5120},       // width of its bus, bits
    {38, 50 << 20},   // second-level cache
    {39, 2048},       // threads of a multiprocessor
    {41, 1},          // one address space
    {81, 228 << 10},  // shared memory of a multiprocessor
    {82, 64 << 10},   // its registers
    {95, 1},          // cooperative launches
    {97, 227 << 10},  // shared memory of a block that asks for more
    {106, 32},        // blocks of a multiprocessor
    {111, 1 << 10},   // shared memory that is reserved
    {115, 1},         // pools of memory
};

// Major and minor number.
std::pair<int, int> capability() {
    const char *text = getenv("POWER_CUDA_EMULATION_CAPABILITY");
    int major = 9, minor = 0;
    if (text != nullptr && *text != 0 && sscanf(text, "%d.%d", &major, &minor) != 2) {
        fprintf(stderr, "CUDA emulation: POWER_CUDA_EMULATION_CAPABILITY is \"%s\", not as \"9.0\"\n", text);
        abort();
    }
    return {major, minor};
}

bool isHidden() {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    return visible != nullptr && (*visible == 0 || *visible == '-');
}

}  // namespace

uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text != nullptr && *text != 0 ? strtoull(text, nullptr, 10) : otherwise;
}

CUresult failure(CUresult result, const std::string &detail) {
    fprintf(stderr, "CUDA emulation: %s\n", detail.c_str());
    std::lock_guard<std::mutex> lock(detailMutex);
    detailText = detail;
    return result;
}

CUresult contextResult() {
    if (!isInitialized) return NOT_INITIALIZED;
    return contexts.empty() ? INVALID_CONTEXT : SUCCESS;
}

EXPORTED CUresult cuInit(unsigned flags) {
    if (flags != 0) return INVALID_VALUE;
    if (isHidden()) return NO_DEVICE;
    isInitialized = true;
    return SUCCESS;
}

EXPORTED CUresult cuDriverGetVersion(int *version) {
    *version = 13000;
    return SUCCESS;
}

EXPORTED CUresult cuGetErrorName(CUresult result, const char **text) {
    for (const ErrorName &entry : errorNames)
        if (entry.result == result) return *text = entry.name, SUCCESS;
    return *text = nullptr, INVALID_VALUE;
}

// Of failures of kernels, with the place.
EXPORTED CUresult cuGetErrorString(CUresult result, const char **text) {
    static thread_local std::string complete;
    for (const ErrorName &entry : errorNames) {
        if (entry.result != result) continue;
        std::lock_guard<std::mutex> lock(detailMutex);
        complete = entry.text;
        if (result >= ILLEGAL_ADDRESS && result <= LAUNCH_FAILED && !detailText.empty()) complete += ": " + detailText;
        return *text = complete.c_str(), SUCCESS;
    }
    return *text = nullptr, INVALID_VALUE;
}

EXPORTED CUresult cuDeviceGetCount(int *count) {
    if (!isInitialized) return NOT_INITIALIZED;
    *count = isHidden() ? 0 : 1;
    return SUCCESS;
}

EXPORTED CUresult cuDeviceGet(int *device, int ordinal) {
    if (!isInitialized) return NOT_INITIALIZED;
    if (ordinal != 0 || isHidden()) return INVALID_DEVICE;
    *device = 0;
    return SUCCESS;
}

EXPORTED CUresult cuDeviceGetName(char *name, int length, int) {
    snprintf(name, length, "CPU emulation");
    return SUCCESS;
}

EXPORTED CUresult cuDeviceGetUuid_v2(unsigned char *uuid, int) {
    memset(uuid, 0xce, 16);
    return SUCCESS;
}
EXPORTED CUresult cuDeviceGetUuid(unsigned char *uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }

EXPORTED CUresult cuDeviceGetPCIBusId(char *text, int length, int) {
    snprintf(text, length, "0000:00:00.0");
    return SUCCESS;
}

EXPORTED CUresult cuDeviceTotalMem_v2(size_t *bytes, int) {
    *bytes = setting("POWER_CUDA_EMULATION_MEMORY", uint64_t(8) << 30);
    return SUCCESS;
}

EXPORTED CUresult cuDeviceComputeCapability(int *major, int *minor, int) {
    std::tie(*major, *minor) = capability();
    return SUCCESS;
}

EXPORTED CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (device != 0) return INVALID_DEVICE;
    const auto known = attributes.find(attribute);
    *value = known == attributes.end() ? 0 : known->second;
    if (attribute == 16) *value = static_cast<int>(setting("POWER_CUDA_EMULATION_MULTIPROCESSORS", 132));
    if (attribute == 75) *value = capability().first;
    if (attribute == 76) *value = capability().second;
    return SUCCESS;
}

EXPORTED CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
    if (!isInitialized) return NOT_INITIALIZED;
    if (device != 0) return INVALID_DEVICE;
    *context = &contextTag;
    return SUCCESS;
}
EXPORTED CUresult cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
EXPORTED CUresult cuDevicePrimaryCtxSetFlags_v2(int, unsigned) { return SUCCESS; }
EXPORTED CUresult cuDevicePrimaryCtxReset_v2(int) { return SUCCESS; }
EXPORTED CUresult cuDevicePrimaryCtxGetState(int, unsigned *flags, int *isActive) {
    *flags = 0, *isActive = 1;
    return SUCCESS;
}

EXPORTED CUresult cuCtxSetCurrent(void *context) {
    if (!isInitialized) return NOT_INITIALIZED;
    if (!contexts.empty()) contexts.pop_back();
    if (context != nullptr) contexts.push_back(context);
    return SUCCESS;
}
EXPORTED CUresult cuCtxGetCurrent(void **context) {
    *context = contexts.empty() ? nullptr : contexts.back();
    return SUCCESS;
}
EXPORTED CUresult cuCtxPushCurrent_v2(void *context) {
    contexts.push_back(context);
    return SUCCESS;
}
EXPORTED CUresult cuCtxPopCurrent_v2(void **context) {
    if (contexts.empty()) return INVALID_CONTEXT;
    if (context != nullptr) *context = contexts.back();
    contexts.pop_back();
    return SUCCESS;
}
EXPORTED CUresult cuCtxGetDevice(int *device) {
    REQUIRE_CONTEXT;
    *device = 0;
    return SUCCESS;
}
EXPORTED CUresult cuCtxSynchronize() {
    REQUIRE_CONTEXT;
    return isCapturing() ? CAPTURE_UNSUPPORTED : SUCCESS;
}
EXPORTED CUresult cuCtxSetLimit(int, size_t) { return SUCCESS; }
EXPORTED CUresult cuProfilerStart() { return SUCCESS; }
EXPORTED CUresult cuProfilerStop() { return SUCCESS; }

EXPORTED CUresult cuGetProcAddress_v2(const char *name, void **function, int, uint64_t, int *status) {
    Dl_info info;
    if (dladdr(reinterpret_cast<void *>(&cuInit), &info) == 0) return NOT_FOUND;
    void *library = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    for (const char *suffix : {"_v3", "_v2", ""}) {
        *function = dlsym(library, (std::string(name) + suffix).c_str());
        if (*function != nullptr) break;
    }
    if (status != nullptr) *status = *function != nullptr ? 0 : 1;
    return *function != nullptr ? SUCCESS : NOT_FOUND;
}
