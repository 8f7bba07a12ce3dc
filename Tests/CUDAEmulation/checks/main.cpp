// Proves the emulation: the package's kernels give what sums in float64 give, and each fault that it looks for is found.
#include <chrono>

#include "kernels.hpp"

namespace {

int failures = 0;

void expect(bool holds, const std::string &what) {
    printf("%s  %s\n", holds ? "ok  " : "FAIL", what.c_str());
    failures += !holds;
}

void checkAgreement(Card &card) {
    // By MATH: bfloat16 factors and states, TF32, split TF32, float64 with float32 inputs and results.
    const double bounds[] = {8e-3, 3e-3, 1e-6, 2e-7};
    struct Case {
        int math, degree, input;
        bool isGated;
    };
    const Case cases[] = {{0, 2, 2, true},  {0, 2, 2, false}, {1, 2, 1, true}, {2, 2, 0, true},
                          {2, 2, 0, false}, {3, 2, 0, true},  {3, 4, 0, false}};
    for (const Case &c : cases) {
        const auto [state, output] = checkKernels(card, Problem(c.math, c.degree, c.input, c.isGated));
        char text[200];
        snprintf(
            text, sizeof text, "MATH %d DEGREE %d INPUT %d GATED %d: errors %.1e of states, %.1e of outputs", c.math, c.degree, c.input,
            c.isGated, state, output);
        const double bound = bounds[c.math];
        expect(state >= 0 && state < bound && output >= 0 && output < bound, text);
        expect(card.freeAll(), "no byte beside an allocation was written");
    }
}

// A kernel of one statement over `int *data`.
int runStatement(Card &card, const std::string &statement, uint64_t data, unsigned shared = 256) {
    const std::string text = "#include \"common/ptx.cuh\"\nextern \"C\" __global__ void __launch_bounds__(64) probe(int *data) {\n"
                             "extern __shared__ __align__(128) unsigned char memory[];\n"
        + statement + "\n}\n";
    return card.launch(card.load("probe.cu", "probe", {}, text), {2, 1, 1}, 64, shared, data);
}

void checkFaults(Card &card) {
    const uint64_t data = card.upload(std::vector<int>(64, 0));
    auto fails = [&](const char *what, const std::string &statement, int code) {
        const int result = runStatement(card, statement, data);
        expect(result == code, std::string(what) + ": " + std::to_string(result));
    };
    fails("nothing wrong", "data[threadIdx.x] = __shfl_xor_sync(~0u, threadIdx.x, 1) + memory[0];", 0);
    fails("read after the end of an allocation", "data[0] = data[threadIdx.x + 64];", 700);
    fails("write after shared memory", "memory[256 + threadIdx.x] = 1;", 700);
    fails("a barrier that some threads end before", "if (threadIdx.x != 40) { __syncwarp(); }", 719);
    fails("lanes at different operations", "if (threadIdx.x < 7) __syncwarp(); else data[0] = __any_sync(~0u, 1);", 719);
    fails(
        "threads at a barrier and a warp that waits",
        "if (threadIdx.x == 3) __syncthreads(); else if (threadIdx.x < 32) __syncwarp();", 719);
    setenv("POWER_CUDA_EMULATION_SECONDS", "1", 1);
    fails("a kernel that does not end", "while (atomicAdd(data + 5, 0) != -77) __threadfence();", 702);
    unsetenv("POWER_CUDA_EMULATION_SECONDS");
    fails("a vector off its alignment", "*reinterpret_cast<float2 *>(data + 1 + threadIdx.x % 2 * 2) = make_float2(1, 2);", 700);
    fails("a copy off its alignment", "copy_16(memory + 8, data, true);", 719);

    runStatement(
        card,
        "__shared__ int fresh[64], one;\n"
        "data[threadIdx.x] = fresh[threadIdx.x] + (one == -1);\n"
        "__syncthreads(); fresh[threadIdx.x] = 7; one = 7;",
        data);
    expect(card.download<int>(data, 64) == std::vector<int>(64, 0), "static shared memory is made anew for every block");

    runStatement(
        card,
        "if (threadIdx.x == 0) {\n"
        "copy_16(memory, data, true); commit_copies(); copy_16(memory + 16, data, false); commit_copies();\n"
        "int *words = reinterpret_cast<int *>(memory); const int before = words[0]; wait_copies<1>();\n"
        "const int first = words[0], second = words[4]; wait_copies<0>();\n"
        "data[8] = before; data[9] = first; data[10] = second; data[11] = words[4];\n}",
        data, 256);
    const std::vector<int> words = card.download<int>(data, 64);
    expect(words[8] == -1 && words[9] != -1 && words[10] == -1 && words[11] == 0, "copies arrive at the wait for their group");
    expect(card.freeAll(), "no byte beside an allocation was written");
}

// Mistakes in the package's kernels that a card would forgive most of the time.
void checkMistakes(Card &card) {
    auto shows = [&](const char *what, const char *text, const char *instead) {
        card.edit = {text, instead};
        const auto [state, output] = checkKernels(card, Problem(0, 2, 2, true));
        card.edit = {};
        char line[200];
        snprintf(line, sizeof line, "%s shows: errors %.1e of states, %.1e of outputs", what, state, output);
        expect(!(state >= 0 && state < 4e-2 && output >= 0 && output < 4e-2), line);
        card.freeAll();
    };
    shows("a wait for one group too few", "wait_copies<1>();", "wait_copies<2>();");
    shows("a missing barrier", "            __syncthreads();\n            const elem *vectors", "            const elem *vectors");
    shows("a missing barrier before reuse", "__syncthreads();\n            if (STAGES == 1", "if (STAGES == 1");
}

void checkGraphs(Card &card) {
    const uint64_t data = card.upload(std::vector<int>(64, 0));
    void *kernel = card.load(
        "add.cu", "add", {},
        "extern \"C\" __global__ void add(int *data, int x, long long y, float z, double w) {\n"
        "atomicAdd(data + threadIdx.x, x + int(y) + int(z) + int(w)); }");
    const int result = card.replay(3, [&] { card.launch(kernel, {5, 1, 1}, 64, 0, data, 1, 10ll, 100.0f, 1000.0); });
    const std::vector<int> sums = card.download<int>(data, 64);
    expect(result == 0 && card.isAllocationRefused && sums[0] == 3 * 5 * 1111 && sums[63] == sums[0], "a graph runs three times");
    card.freeAll();
}

void measure(Card &card) {
    const std::string text = R"(
#include "common/ptx.cuh"
extern "C" __global__ void products(float *out, int count) {
    float c[4] = {0, 0, 0, 0};
    const unsigned a[4] = {0x3f803f80u + threadIdx.x, 1, 2, 3}, b[2] = {0x3f803f80u, 5};
    for (int n = 0; n < count; ++n) mma_bfloat16(c, a, b);
    out[threadIdx.x] = c[0] + c[1] + c[2] + c[3];
}
extern "C" __global__ void doubles(float *out, int count) {
    double c[2] = {0, 0};
    for (int n = 0; n < count; ++n) mma_float64(c[0], c[1], threadIdx.x, n);
    out[threadIdx.x] = c[0] + c[1];
}
extern "C" __global__ void shuffles(float *out, int count) {
    float x = threadIdx.x;
    for (int n = 0; n < count; ++n) x = __shfl_xor_sync(~0u, x, 1);
    out[threadIdx.x] = x;
}
)";
    const uint64_t out = card.allocate(128 * 4);
    for (const char *name : {"products", "doubles", "shuffles"}) {
        void *kernel = card.load("rates.cu", name, {}, text);
        const int count = 20000, blocks = 8;
        const auto start = std::chrono::steady_clock::now();
        card.launch(kernel, {blocks, 1, 1}, 128, 0, out, count);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        printf("      %s: %.2f million a second, all threads\n", name, 4e-6 * count * blocks / seconds);
    }
    card.freeAll();
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s <folder of the libraries> <folder of the kernels>\n", argv[0]), 2;
    Card card(argv[1], argv[2]);
    expect(card.needsContext, "no memory without initialization and without a context");
    checkAgreement(card);
    checkMistakes(card);
    checkGraphs(card);
    checkFaults(card);
    measure(card);
    return failures != 0;
}
