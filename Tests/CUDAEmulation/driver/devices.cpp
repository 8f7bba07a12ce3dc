// Initialization, devices and contexts: one card, one context.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>

#include "driver.hpp"

namespace {

std::mutex detailMutex;
std::string detailText;
thread_local std::vector<void *> contexts;
int contextTag;

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

EXPORTED CUresult cuInit(unsigned) { return isHidden() ? NO_DEVICE : SUCCESS; }

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
    *count = isHidden() ? 0 : 1;
    return SUCCESS;
}

EXPORTED CUresult cuDeviceGet(int *device, int ordinal) {
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
    *major = 9, *minor = 0;
    return SUCCESS;
}

EXPORTED CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (device != 0) return INVALID_DEVICE;
    switch (attribute) {
    case 1: case 2: case 3: *value = 1024; break;                                              // threads of a block, of its x and y
    case 4: *value = 64; break;                                                                // of its z
    case 5: *value = 2147483647; break;                                                        // grid x
    case 6: case 7: *value = 65535; break;                                                     // grid y, z
    case 8: *value = 48 << 10; break;                                                          // shared memory of a block
    case 9: *value = 64 << 10; break;                                                          // constant memory
    case 10: *value = 32; break;                                                               // lanes of a warp
    case 12: case 82: *value = 64 << 10; break;                                                // registers
    case 13: *value = 1980000; break;                                                          // clock, kHz
    case 16: *value = static_cast<int>(setting("POWER_CUDA_EMULATION_MULTIPROCESSORS", 132)); break;
    case 36: *value = 2619000; break;                                                          // clock of the memory, kHz
    case 37: *value = 5120; break;                                                             // width of its bus, bits
    case 38: *value = 50 << 20; break;                                                         // second-level cache
    case 39: *value = 2048; break;                                                             // threads of a multiprocessor
    case 31: case 41: case 95: case 115: *value = 1; break;                                    // concurrent kernels, one address space, cooperation, pools
    case 75: *value = 9; break;
    case 76: *value = 0; break;
    case 81: *value = 228 << 10; break;                                                        // shared memory of a multiprocessor
    case 97: *value = 227 << 10; break;                                                        // of a block that asks for more
    case 106: *value = 32; break;                                                              // blocks of a multiprocessor
    case 111: *value = 1 << 10; break;                                                         // shared memory that is reserved
    default: *value = 0;
    }
    return SUCCESS;
}

EXPORTED CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
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
    *device = 0;
    return contexts.empty() ? INVALID_CONTEXT : SUCCESS;
}
EXPORTED CUresult cuCtxSynchronize() { return isCapturing() ? CAPTURE_UNSUPPORTED : SUCCESS; }
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
