// Device memory: host memory whose end touches a guard page, full of NaN.
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>

#include "driver.hpp"

namespace {

struct Allocation {
    unsigned char *mapping;
    size_t mappingBytes, bytes, reservedBytes;
};

constexpr size_t pageBytes = 4096, alignment = 256;
// More than this is left as the system gives it: filling would make all of it resident.
constexpr size_t largestFill = size_t(1) << 30;

std::mutex mutex;
std::map<uint64_t, Allocation> allocations;
size_t usedBytes;

size_t roundedUp(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

size_t totalBytes() { return setting("POWER_CUDA_EMULATION_MEMORY", uint64_t(8) << 30); }

CUresult copy(void *destination, const void *source, size_t bytes) {
    memmove(destination, source, bytes);
    return SUCCESS;
}

template <typename Word>
CUresult fill(Stream *stream, uint64_t destination, Word word, size_t count) {
    REQUIRE_CONTEXT;
    if (!isAllocated(destination, count * sizeof(Word))) return INVALID_VALUE;
    return submit(stream, [=] {
        for (size_t n = 0; n < count; ++n) reinterpret_cast<Word *>(destination)[n] = word;
        return SUCCESS;
    });
}

CUresult copyToDevice(Stream *stream, uint64_t destination, const void *source, size_t bytes) {
    REQUIRE_CONTEXT;
    if (!isAllocated(destination, bytes)) return INVALID_VALUE;
    return submit(stream, [=] { return copy(reinterpret_cast<void *>(destination), source, bytes); });
}

CUresult copyToHost(Stream *stream, void *destination, uint64_t source, size_t bytes) {
    REQUIRE_CONTEXT;
    if (!isAllocated(source, bytes)) return INVALID_VALUE;
    return submit(stream, [=] { return copy(destination, reinterpret_cast<const void *>(source), bytes); });
}

CUresult copyOnDevice(Stream *stream, uint64_t destination, uint64_t source, size_t bytes) {
    REQUIRE_CONTEXT;
    if (!isAllocated(destination, bytes) || !isAllocated(source, bytes)) return INVALID_VALUE;
    return submit(
        stream, [=] { return copy(reinterpret_cast<void *>(destination), reinterpret_cast<const void *>(source), bytes); });
}

}  // namespace

bool isAllocated(uint64_t address, size_t bytes) {
    if (bytes == 0) return true;
    std::lock_guard<std::mutex> lock(mutex);
    auto next = allocations.upper_bound(address);
    if (next == allocations.begin()) return false;
    const auto &[start, allocation] = *--next;
    return address - start <= allocation.bytes && bytes <= allocation.bytes - (address - start);
}

std::string describeAddress(uint64_t address) {
    std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    if (!lock.owns_lock()) return "";
    auto next = allocations.upper_bound(address);
    if (next != allocations.begin()) {
        const auto &[start, allocation] = *std::prev(next);
        const uint64_t offset = address - start;
        if (offset < allocation.bytes)
            return ", byte " + std::to_string(offset) + " of an allocation of " + std::to_string(allocation.bytes);
        if (offset - allocation.bytes < 1 << 20)
            return ", " + std::to_string(offset - allocation.bytes) + " bytes after an allocation of " + std::to_string(allocation.bytes);
    }
    if (next != allocations.end() && next->first - address < 1 << 20)
        return ", " + std::to_string(next->first - address) + " bytes before an allocation of " + std::to_string(next->second.bytes);
    return "";
}

EXPORTED CUresult cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    REQUIRE_CONTEXT;
    if (bytes == 0) return INVALID_VALUE;
    if (isCapturing()) return CAPTURE_UNSUPPORTED;
    std::lock_guard<std::mutex> lock(mutex);
    if (bytes > totalBytes() || usedBytes + roundedUp(bytes, alignment) > totalBytes()) return OUT_OF_MEMORY;
    Allocation allocation;
    allocation.bytes = bytes;
    allocation.reservedBytes = roundedUp(bytes, alignment);
    const size_t body = roundedUp(allocation.reservedBytes, pageBytes);
    allocation.mappingBytes = body + 2 * pageBytes;
    void *mapping = mmap(nullptr, allocation.mappingBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return OUT_OF_MEMORY;
    allocation.mapping = static_cast<unsigned char *>(mapping);
    if (mprotect(allocation.mapping + pageBytes, body, PROT_READ | PROT_WRITE) != 0) {
        munmap(mapping, allocation.mappingBytes);
        return OUT_OF_MEMORY;
    }
    if (body <= largestFill) memset(allocation.mapping + pageBytes, 0xff, body);
    *address = reinterpret_cast<uint64_t>(allocation.mapping) + pageBytes + body - allocation.reservedBytes;
    usedBytes += allocation.reservedBytes;
    allocations[*address] = allocation;
    return SUCCESS;
}

// Fails where a kernel wrote beside the allocation without reaching a guard page.
EXPORTED CUresult cuMemFree_v2(uint64_t address) {
    REQUIRE_CONTEXT;
    if (address == 0) return SUCCESS;
    if (isCapturing()) return CAPTURE_UNSUPPORTED;
    std::unique_lock<std::mutex> lock(mutex);
    const auto found = allocations.find(address);
    if (found == allocations.end()) return INVALID_VALUE;
    const Allocation allocation = found->second;
    allocations.erase(found);
    usedBytes -= allocation.reservedBytes;
    lock.unlock();
    bool isIntact = true;
    if (allocation.mappingBytes <= largestFill) {
        const unsigned char *start = reinterpret_cast<unsigned char *>(address);
        for (const unsigned char *p = allocation.mapping + pageBytes; p < start; ++p) isIntact &= *p == 0xff;
        for (size_t n = allocation.bytes; n < allocation.reservedBytes; ++n) isIntact &= start[n] == 0xff;
    }
    munmap(allocation.mapping, allocation.mappingBytes);
    if (isIntact) return SUCCESS;
    return failure(ILLEGAL_ADDRESS, "bytes beside an allocation of " + std::to_string(allocation.bytes) + " were written");
}

EXPORTED CUresult cuMemAllocAsync(uint64_t *address, size_t bytes, Stream *) { return cuMemAlloc_v2(address, bytes); }
EXPORTED CUresult cuMemFreeAsync(uint64_t address, Stream *) { return cuMemFree_v2(address); }

EXPORTED CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
    REQUIRE_CONTEXT;
    std::lock_guard<std::mutex> lock(mutex);
    *total = totalBytes();
    *free = *total - usedBytes;
    return SUCCESS;
}

EXPORTED CUresult cuMemGetAddressRange_v2(uint64_t *base, size_t *bytes, uint64_t address) {
    std::lock_guard<std::mutex> lock(mutex);
    auto next = allocations.upper_bound(address);
    if (next == allocations.begin()) return NOT_FOUND;
    const auto &[start, allocation] = *--next;
    if (address - start >= allocation.bytes) return NOT_FOUND;
    if (base != nullptr) *base = start;
    if (bytes != nullptr) *bytes = allocation.bytes;
    return SUCCESS;
}

EXPORTED CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned) {
    REQUIRE_CONTEXT;
    *pointer = aligned_alloc(pageBytes, roundedUp(bytes == 0 ? 1 : bytes, pageBytes));
    return *pointer == nullptr ? OUT_OF_MEMORY : SUCCESS;
}
EXPORTED CUresult cuMemAllocHost_v2(void **pointer, size_t bytes) { return cuMemHostAlloc(pointer, bytes, 0); }
EXPORTED CUresult cuMemFreeHost(void *pointer) {
    REQUIRE_CONTEXT;
    free(pointer);
    return SUCCESS;
}
EXPORTED CUresult cuMemHostRegister_v2(void *, size_t, unsigned) { return SUCCESS; }
EXPORTED CUresult cuMemHostUnregister(void *) { return SUCCESS; }

EXPORTED CUresult cuMemcpyHtoDAsync_v2(uint64_t destination, const void *source, size_t bytes, Stream *stream) {
    return copyToDevice(stream, destination, source, bytes);
}
EXPORTED CUresult cuMemcpyDtoHAsync_v2(void *destination, uint64_t source, size_t bytes, Stream *stream) {
    return copyToHost(stream, destination, source, bytes);
}
EXPORTED CUresult cuMemcpyDtoDAsync_v2(uint64_t destination, uint64_t source, size_t bytes, Stream *stream) {
    return copyOnDevice(stream, destination, source, bytes);
}
EXPORTED CUresult cuMemcpyHtoD_v2(uint64_t destination, const void *source, size_t bytes) {
    return isCapturing() ? CAPTURE_UNSUPPORTED : copyToDevice(nullptr, destination, source, bytes);
}
EXPORTED CUresult cuMemcpyDtoH_v2(void *destination, uint64_t source, size_t bytes) {
    return isCapturing() ? CAPTURE_UNSUPPORTED : copyToHost(nullptr, destination, source, bytes);
}
EXPORTED CUresult cuMemcpyDtoD_v2(uint64_t destination, uint64_t source, size_t bytes) {
    return isCapturing() ? CAPTURE_UNSUPPORTED : copyOnDevice(nullptr, destination, source, bytes);
}

EXPORTED CUresult cuMemsetD8Async(uint64_t destination, unsigned char value, size_t count, Stream *stream) {
    return fill(stream, destination, value, count);
}
EXPORTED CUresult cuMemsetD16Async(uint64_t destination, unsigned short value, size_t count, Stream *stream) {
    return fill(stream, destination, value, count);
}
EXPORTED CUresult cuMemsetD32Async(uint64_t destination, unsigned value, size_t count, Stream *stream) {
    return fill(stream, destination, value, count);
}
EXPORTED CUresult cuMemsetD8_v2(uint64_t destination, unsigned char value, size_t count) {
    return fill(nullptr, destination, value, count);
}
EXPORTED CUresult cuMemsetD32_v2(uint64_t destination, unsigned value, size_t count) {
    return fill(nullptr, destination, value, count);
}

// Matrices of bfloat16 in boxes that are panels of 64 columns with a swizzle of 128 bytes, and zeros beyond the matrix.
EXPORTED CUresult cuTensorMapEncodeTiled(
    void *map, int type, unsigned rank, uint64_t address, const uint64_t *extents, const uint64_t *rowBytes, const unsigned *box,
    const unsigned *steps, int interleaving, int swizzle, int, int filling
) {
    constexpr int bfloat16 = 9, swizzle128 = 3;
    if (reinterpret_cast<uint64_t>(map) % 64 != 0 || type != bfloat16 || rank != 2 || address % 16 != 0 || rowBytes[0] % 16 != 0)
        return INVALID_VALUE;
    if (extents[0] == 0 || extents[1] == 0 || box[0] != 64 || box[1] == 0 || box[1] > 256) return INVALID_VALUE;
    if (steps[0] != 1 || steps[1] != 1 || interleaving != 0 || swizzle != swizzle128 || filling != 0) return INVALID_VALUE;
    const emulation::Matrix matrix = {
        emulation::matrixMark, reinterpret_cast<unsigned char *>(address), extents[1], extents[0], rowBytes[0], box[1], box[0]};
    memcpy(map, &matrix, sizeof matrix);
    return SUCCESS;
}
