// The few driver calls that the checks need, found as the package finds them.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

template <typename F>
struct Function;
template <typename... A>
struct Function<int(A...)> {
    int (*pointer)(A...);
    Function(void *library, const char *name) : pointer(reinterpret_cast<int (*)(A...)>(dlsym(library, name))) {
        if (pointer == nullptr) fprintf(stderr, "no %s\n", name), exit(1);
    }
    int operator()(A... arguments) const { return pointer(arguments...); }
};

class Card {
public:
    Card(const std::string &folder, const std::string &kernels)
        : driver(open(folder + "/libcuda.so.1")), compiler(open(folder + "/libnvrtc.so.13")), kernels(kernels) {
        for (const auto &entry : std::filesystem::recursive_directory_iterator(kernels))
            if (entry.path().extension() == ".cuh")
                headers.push_back({std::filesystem::relative(entry.path(), kernels), read(entry.path())});
        uint64_t address;
        void *context;
        needsContext = memAlloc(&address, 1) == 3 && initialize(0) == 0 && memAlloc(&address, 1) == 201;
        retainContext(&context, 0);
        setContext(context);
    }

    static std::string read(const std::filesystem::path &path) {
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        return text.str();
    }

    // A function of a file of the kernels, or of a text.
    void *load(const std::string &path, const char *function, const std::vector<std::string> &macros, std::string text = "") {
        if (text.empty()) text = read(kernels + "/" + path);
        for (size_t place; !edit.first.empty() && (place = text.find(edit.first)) != std::string::npos;)
            text.replace(place, edit.first.size(), edit.second);
        std::vector<const char *> texts, names, options = {"--gpu-architecture=sm_90a"};
        for (const auto &[name, header] : headers) names.push_back(name.c_str()), texts.push_back(header.c_str());
        std::vector<std::string> definitions;
        for (const std::string &macro : macros) definitions.push_back("-D" + macro);
        for (const std::string &definition : definitions) options.push_back(definition.c_str());
        void *program, *module, *result;
        create(&program, text.c_str(), path.c_str(), static_cast<int>(headers.size()), texts.data(), names.data());
        const int status = compile(program, static_cast<int>(options.size()), options.data());
        size_t size;
        if (status != 0) {
            logSize(program, &size);
            std::string log(size, 0);
            getLog(program, log.data());
            fprintf(stderr, "%s\n", log.c_str()), exit(1);
        }
        cubinSize(program, &size);
        std::string image(size, 0);
        getCubin(program, image.data());
        if (loadModule(&module, image.data()) != 0 || getFunction(&result, module, function) != 0)
            fprintf(stderr, "%s does not load\n", function), exit(1);
        setAttribute(result, 8, 200 << 10);
        return result;
    }

    uint64_t allocate(size_t bytes) {
        uint64_t address;
        if (memAlloc(&address, bytes) != 0) fprintf(stderr, "no memory\n"), exit(1);
        allocations.push_back(address);
        return address;
    }

    template <typename T>
    uint64_t upload(const std::vector<T> &values) {
        const uint64_t address = allocate(values.size() * sizeof(T));
        toDevice(address, values.data(), values.size() * sizeof(T));
        return address;
    }

    template <typename T>
    std::vector<T> download(uint64_t address, size_t count) {
        std::vector<T> result(count);
        toHost(result.data(), address, count * sizeof(T));
        return result;
    }

    // Frees what was allocated since the last call; false where bytes beside an allocation were written.
    bool freeAll() {
        bool isIntact = true;
        for (uint64_t address : allocations) isIntact &= memFree(address) == 0;
        allocations.clear();
        return isIntact;
    }

    template <typename... A>
    int launch(void *function, std::vector<unsigned> grid, unsigned threads, unsigned shared, A... arguments) {
        void *parameters[] = {&arguments...};
        return launchKernel(function, grid[0], grid[1], grid[2], threads, 1, 1, shared, stream, parameters, nullptr);
    }

    std::string message(int result) {
        const char *text;
        errorString(result, &text);
        return text;
    }

    // What `load` replaces in the texts of kernels, and by what.
    std::pair<std::string, std::string> edit;

    // What `body` launches on a stream, as a graph that runs `count` times.
    template <typename Body>
    int replay(int count, Body body) {
        void *graph, *executable;
        createStream(&stream, 0);
        if (const int result = beginCapture(stream, 0)) return result;
        body();
        uint64_t address;
        isAllocationRefused = memAlloc(&address, 16) == 900;
        if (const int result = endCapture(stream, &graph)) return result;
        instantiate(&executable, graph, 0);
        destroyGraph(graph);
        for (int n = 0; n < count; ++n)
            if (const int result = launchGraph(executable, stream)) return result;
        destroyExecutable(executable);
        destroyStream(stream);
        stream = nullptr;
        return 0;
    }

    bool isAllocationRefused = false, needsContext = false;

private:
    static void *open(const std::string &path) {
        void *library = dlopen(path.c_str(), RTLD_NOW);
        if (library == nullptr) fprintf(stderr, "%s\n", dlerror()), exit(1);
        return library;
    }

    void *driver, *compiler, *stream = nullptr;
    std::string kernels;
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<uint64_t> allocations;
    Function<int(uint64_t *, size_t)> memAlloc{driver, "cuMemAlloc_v2"};
    Function<int(unsigned)> initialize{driver, "cuInit"};
    Function<int(void **, int)> retainContext{driver, "cuDevicePrimaryCtxRetain"};
    Function<int(void *)> setContext{driver, "cuCtxSetCurrent"};
    Function<int(uint64_t)> memFree{driver, "cuMemFree_v2"};
    Function<int(uint64_t, const void *, size_t)> toDevice{driver, "cuMemcpyHtoD_v2"};
    Function<int(void *, uint64_t, size_t)> toHost{driver, "cuMemcpyDtoH_v2"};
    Function<int(void **, const void *)> loadModule{driver, "cuModuleLoadData"};
    Function<int(void **, void *, const char *)> getFunction{driver, "cuModuleGetFunction"};
    Function<int(void *, int, int)> setAttribute{driver, "cuFuncSetAttribute"};
    Function<int(int, const char **)> errorString{driver, "cuGetErrorString"};
    Function<int(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **)> launchKernel{
        driver, "cuLaunchKernel"};
    Function<int(void **, unsigned)> createStream{driver, "cuStreamCreate"};
    Function<int(void *, int)> beginCapture{driver, "cuStreamBeginCapture_v2"};
    Function<int(void *, void **)> endCapture{driver, "cuStreamEndCapture"};
    Function<int(void **, void *, uint64_t)> instantiate{driver, "cuGraphInstantiateWithFlags"};
    Function<int(void *, void *)> launchGraph{driver, "cuGraphLaunch"};
    Function<int(void *)> destroyGraph{driver, "cuGraphDestroy"}, destroyExecutable{driver, "cuGraphExecDestroy"},
        destroyStream{driver, "cuStreamDestroy_v2"};
    Function<int(void **, const char *, const char *, int, const char *const *, const char *const *)> create{
        compiler, "nvrtcCreateProgram"};
    Function<int(void *, int, const char *const *)> compile{compiler, "nvrtcCompileProgram"};
    Function<int(void *, size_t *)> logSize{compiler, "nvrtcGetProgramLogSize"};
    Function<int(void *, char *)> getLog{compiler, "nvrtcGetProgramLog"};
    Function<int(void *, size_t *)> cubinSize{compiler, "nvrtcGetCUBINSize"};
    Function<int(void *, char *)> getCubin{compiler, "nvrtcGetCUBIN"};
};
