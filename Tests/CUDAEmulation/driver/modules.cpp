// Modules are shared objects; launches are checked as the driver would.
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.hpp"

namespace {

// A shared object ends where its table of sections does.
size_t imageBytes(const unsigned char *image) {
    const auto *header = reinterpret_cast<const Elf64_Ehdr *>(image);
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_type != ET_DYN) return 0;
    return header->e_shoff + static_cast<size_t>(header->e_shnum) * header->e_shentsize;
}

size_t threadLocalBytes(void *library) {
    struct Search {
        const link_map *map;
        size_t bytes;
    } search{nullptr, 0};
    dlinfo(library, RTLD_DI_LINKMAP, &search.map);
    dl_iterate_phdr(
        [](dl_phdr_info *info, size_t, void *argument) {
            Search &search = *static_cast<Search *>(argument);
            if (info->dlpi_addr != search.map->l_addr) return 0;
            for (int n = 0; n < info->dlpi_phnum; ++n)
                if (info->dlpi_phdr[n].p_type == PT_TLS) search.bytes = info->dlpi_phdr[n].p_memsz;
            return 1;
        },
        &search);
    return search.bytes;
}

}  // namespace

unsigned char *Module::staticShared() const {
    void *place = nullptr;
    touchShared();
    dlinfo(library, RTLD_DI_TLS_DATA, &place);
    return static_cast<unsigned char *>(place);
}

EXPORTED CUresult cuModuleLoadData(Module **result, const void *image) {
    REQUIRE_CONTEXT;
    const auto *bytes = static_cast<const unsigned char *>(image);
    const size_t size = imageBytes(bytes);
    if (size == 0) return failure(INVALID_IMAGE, "a module is not a shared object of the emulation's compiler");
    const int file = memfd_create("kernel", MFD_CLOEXEC);
    for (size_t n = 0; file >= 0 && n < size;) {
        const ssize_t written = write(file, bytes + n, size - n);
        if (written <= 0) return close(file), failure(OUT_OF_MEMORY, "a module could not be written to memory");
        n += written;
    }
    std::lock_guard<std::mutex> turn(turnOfGrids());
    // The name stays taken while the module is loaded: the loader tells libraries apart by name.
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return close(file), failure(INVALID_IMAGE, dlerror());
    auto runBlock = reinterpret_cast<void (*)(emulation::Arena *)>(dlsym(library, "emulation_run_block"));
    auto touchShared = reinterpret_cast<void (*)()>(dlsym(library, "emulation_touch_shared"));
    if (runBlock == nullptr || touchShared == nullptr)
        return close(file), failure(INVALID_IMAGE, "a module has no kernels of the emulation");
    *result = new Module{library, file, runBlock, touchShared, threadLocalBytes(library)};
    return SUCCESS;
}

EXPORTED CUresult cuModuleLoadDataEx(Module **module, const void *image, unsigned, int *, void **) {
    return cuModuleLoadData(module, image);
}

EXPORTED CUresult cuModuleUnload(Module *module) {
    REQUIRE_CONTEXT;
    std::lock_guard<std::mutex> turn(turnOfGrids());
    dlclose(module->library);
    close(module->file);
    delete module;
    return SUCCESS;
}

EXPORTED CUresult cuModuleGetFunction(Function **function, Module *module, const char *name) {
    REQUIRE_CONTEXT;
    const auto *kernel = static_cast<const emulation::Kernel *>(dlsym(module->library, "emulation_kernels"));
    for (; kernel != nullptr && kernel->name != nullptr; ++kernel) {
        if (strcmp(kernel->name, name) != 0) continue;
        *function = new Function{module, *kernel};
        return SUCCESS;
    }
    return NOT_FOUND;
}

EXPORTED CUresult cuModuleGetGlobal_v2(uint64_t *address, size_t *bytes, Module *module, const char *name) {
    void *place = dlsym(module->library, name);
    Dl_info info;
    const ElfW(Sym) *symbol = nullptr;
    if (place == nullptr || dladdr1(place, &info, reinterpret_cast<void **>(const_cast<ElfW(Sym) **>(&symbol)), RTLD_DL_SYMENT) == 0)
        return NOT_FOUND;
    if (address != nullptr) *address = reinterpret_cast<uint64_t>(place);
    if (bytes != nullptr) *bytes = symbol->st_size;
    return SUCCESS;
}

EXPORTED CUresult cuFuncSetAttribute(Function *function, int attribute, int value) {
    if (attribute != 8) return SUCCESS;
    if (value < 0 || value > 227 << 10) return INVALID_VALUE;
    function->sharedLimit = value;
    return SUCCESS;
}
EXPORTED CUresult cuFuncSetCacheConfig(Function *, int) { return SUCCESS; }

EXPORTED CUresult cuFuncGetAttribute(int *value, int attribute, Function *function) {
    switch (attribute) {
    case 0: *value = static_cast<int>(function->kernel.maximumThreads); break;
    case 5: case 6: *value = 90; break;
    case 8: *value = function->sharedLimit; break;
    default: *value = 0;
    }
    return SUCCESS;
}

EXPORTED CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *count, Function *, int threads, size_t sharedBytes) {
    REQUIRE_CONTEXT;
    if (threads <= 0) return INVALID_VALUE;
    const int byThreads = 2048 / ((threads + 31) / 32 * 32), byMemory = static_cast<int>((size_t(228) << 10) / (sharedBytes + 1024));
    *count = byThreads < byMemory ? byThreads : byMemory;
    if (*count > 32) *count = 32;
    return SUCCESS;
}

EXPORTED CUresult cuLaunchKernel(
    Function *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned threadsX, unsigned threadsY, unsigned threadsZ,
    unsigned sharedBytes, Stream *stream, void **parameters, void **extra
) {
    REQUIRE_CONTEXT;
    const emulation::Kernel &kernel = function->kernel;
    const std::string name = std::string("launch of ") + kernel.name;
    if (gridX == 0 || gridY == 0 || gridZ == 0 || gridX > 0x7fffffff || gridY > 65535 || gridZ > 65535)
        return failure(
            INVALID_VALUE, name + ": grid " + std::to_string(gridX) + " × " + std::to_string(gridY) + " × " + std::to_string(gridZ));
    const uint64_t threads = uint64_t(threadsX) * threadsY * threadsZ;
    if (threads == 0 || threads > 1024) return failure(INVALID_VALUE, name + ": " + std::to_string(threads) + " threads a block");
    if (threads > kernel.maximumThreads)
        return failure(
            INVALID_VALUE, name + ": " + std::to_string(threads) + " threads a block, the kernel's bound is "
                + std::to_string(kernel.maximumThreads));
    if (sharedBytes > static_cast<unsigned>(function->sharedLimit))
        return failure(
            INVALID_VALUE, name + ": " + std::to_string(sharedBytes) + " bytes of shared memory, the kernel's limit is "
                + std::to_string(function->sharedLimit));
    if (extra != nullptr || (parameters == nullptr && kernel.parameterCount > 0)) return NOT_SUPPORTED;
    Launch launch{function, {gridX, gridY, gridZ}, {threadsX, threadsY, threadsZ}, sharedBytes, {}};
    for (unsigned n = 0; n < kernel.parameterCount; ++n) {
        const auto *bytes = static_cast<const unsigned char *>(parameters[n]);
        launch.parameters.emplace_back(bytes, bytes + kernel.parameterBytes[n]);
    }
    return submit(stream, [launch = std::move(launch)] { return run(launch); });
}
