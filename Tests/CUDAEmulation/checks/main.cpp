// Proves the emulation: the package's kernels give what sums in float64 give, and each fault that it looks for is found.
#include <chrono>

#include "hopper.hpp"
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

// A kernel of one statement for two warpgroups, with operands of products.
int runOnWarpgroups(Card &card, const std::string &statement, uint64_t data) {
    const std::string text = "#include \"common/hopper.cuh\"\nextern \"C\" __global__ void __launch_bounds__(256) probe(int *data) {\n"
                             "extern __shared__ __align__(128) unsigned char memory[];\n"
                             "[[maybe_unused]] unsigned long long *barrier = reinterpret_cast<unsigned long long *>(memory) + 400;\n"
                             "[[maybe_unused]] const unsigned a[4] = {1, 2, 3, 4};\n"
                             "[[maybe_unused]] const unsigned long long b = panel_descriptor(memory, 16, true);\n"
                             "[[maybe_unused]] float c[8] = {};\n"
        + statement + "\n}\n";
    return card.launch(card.load("probe.cu", "probe", {}, text), {2, 1, 1}, 256, 4096, data);
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

void checkHopper(Card &card) {
    auto text = [](const std::string &what, double error) {
        char number[32];
        snprintf(number, sizeof number, "%.1e", error);
        return what + ": errors " + number;
    };
    auto agrees = [&](const std::string &what, double error, double bound) {
        expect(error >= 0 && error < bound, text(what, error));
        expect(card.freeAll(), "no byte beside an allocation was written");
    };
    for (bool rowsAreK : {false, true})
        for (bool isShared : {false, true})
            for (bool accumulate : {false, true})
                agrees(
                    std::string("products of a warpgroup, B as ") + (rowsAreK ? "[k][column]" : "[column][k]") + ", A in "
                        + (isShared ? "shared memory" : "registers") + (accumulate ? ", added" : ""),
                    checkProducts(card, rowsAreK, isShared, accumulate), 1e-6);
    agrees("a ring of barriers between warpgroups", checkRing(card, ""), 1e-6);
    agrees("products of two numbers in bfloat16", checkMultiplication(card), 1e-9);

    auto shows = [&](const char *what, const char *macro) {
        const double error = checkRing(card, macro);
        card.freeAll();
        expect(!(error >= 0 && error < 1e-2), text(std::string(what) + " shows", error));
    };
    shows("a stage that is free before its products are waited for", "EARLY");
    shows("a stage that is full before its copies are waited for", "UNREADY");
    shows("sums that are read before they are waited for", "UNFINISHED");
    shows("a stage that nobody frees", "KEPT");

    const uint64_t data = card.upload(std::vector<int>(256, 0));
    auto results = [&](const char *what, const std::string &statement, int code) {
        const int result = runOnWarpgroups(card, statement, data);
        expect(result == code, std::string(what) + ": " + std::to_string(result));
    };
    results(
        "two named barriers",
        "__shared__ int first, second; if (threadIdx.x == 0) first = second = 0; __syncthreads();\n"
        "if (threadIdx.x >= 64 && threadIdx.x < 128) first = 1; if (threadIdx.x < 128) named_barrier<128>(1);\n"
        "if (threadIdx.x < 64) { data[threadIdx.x] = first; second = 2; }\n"
        "if (threadIdx.x < 64 || threadIdx.x >= 192) named_barrier<128>(15); if (threadIdx.x >= 192) data[threadIdx.x] = second;",
        0);
    const std::vector<int> order = card.download<int>(data, 256);
    expect(order[0] == 1 && order[63] == 1 && order[192] == 2 && order[255] == 2, "threads wait at named barriers");
    results("registers change", "if (threadIdx.x < 128) lower_registers<40>(); else raise_registers<232>();", 0);
    results("a part of a warpgroup changes registers", "if (threadIdx.x < 96) lower_registers<40>();", 719);
    results("a named barrier for too many", "if (threadIdx.x < 96) named_barrier<128>(1);", 719);
    results("a named barrier with two counts", "if (threadIdx.x < 64) named_barrier<128>(1); else named_barrier<192>(1);", 719);
    results("a part of a warp at a named barrier", "if (threadIdx.x % 64 < 48) named_barrier<192>(1);", 719);
    results("a wait for the completion before the first", "barrier_init(barrier, 5); barrier_wait(barrier, 1);", 0);
    results(
        "a wait for a barrier that too few arrive at",
        "if (threadIdx.x == 0) barrier_init(barrier, 256); __syncthreads();\n"
        "if (threadIdx.x != 9) barrier_arrive(barrier); barrier_wait(barrier, 0);", 719);
    results("a barrier that was not initialized", "barrier_arrive(barrier);", 719);
    const char *const copies = "if (threadIdx.x == 0) { barrier_init(barrier, 1); ";
    results("a bulk copy off its alignment", std::string(copies) + "copy_bulk(memory + 8, data, 32, barrier); }", 719);
    results("a bulk copy of a few bytes", std::string(copies) + "store_bulk(data, memory, 24); commit_bulk_stores(); wait_bulk_stores(); }", 719);
    results("a bulk copy that nobody waits for", std::string(copies) + "store_bulk(data, memory, 32); commit_bulk_stores(); }", 719);
    results(
        "bulk copies there and back",
        std::string(copies) + "int *words = reinterpret_cast<int *>(memory); for (int n = 0; n < 8; ++n) data[n] = n + 1;\n"
        "copy_bulk(memory, data, 32, barrier); barrier_arrive_after_copies(barrier); barrier_wait(barrier, 0);\n"
        "store_bulk(data + 8, memory, 32); commit_bulk_stores(); words[1] = 77; wait_bulk_stores(); }",
        0);
    const std::vector<int> copied = card.download<int>(data, 256);
    expect(copied[8] == 1 && copied[9] == 77 && copied[15] == 8, "bulk copies read shared memory as late as they may");
    results(
        "the newest group of bulk copies is not waited for",
        std::string(copies) + "int *words = reinterpret_cast<int *>(memory); for (int n = 0; n < 16; ++n) words[n] = n + 1;\n"
        "store_bulk(data, memory, 32); commit_bulk_stores(); store_bulk(data + 8, memory + 32, 32); commit_bulk_stores();\n"
        "wait_bulk_reads<1>(); words[0] = words[8] = 77; wait_bulk_stores(); }",
        0);
    const std::vector<int> grouped = card.download<int>(data, 256);
    expect(grouped[0] == 1 && grouped[8] == 77, "bulk copies are waited for by groups");
    results("a box of what is no tensor map", std::string(copies) + "TensorMap map = {}; copy_box(memory, map, 0, 0, 2048, barrier); }", 719);
    results(
        "matrices are stored while others have yet to read what a shuffle gave",
        "const unsigned zeros[4] = {}; const int other = __shfl_xor_sync(~0u, static_cast<int>(threadIdx.x), 1);\n"
        "store_matrices(memory + 16 * threadIdx.x, zeros); data[threadIdx.x] = other;",
        0);
    const std::vector<int> others = card.download<int>(data, 256);
    for (int n = 0; n < 256; ++n) expect(others[n] == (n ^ 1), "a shuffle's results stay until all have read them");
    results("products that were not begun", "multiply_group<true>(c, a, b, false); products_commit(); products_wait<0>();", 719);
    results(
        "products that were begun before the last wait",
        "products_begin(); multiply_group<true>(c, a, b, false); products_commit(); products_wait<0>();\n"
        "multiply_group<true>(c, a, b, false); products_commit(); products_wait<0>();", 719);
    results("a descriptor of the other order", "products_begin(); multiply_group<false>(c, a, b, false);", 719);
    results("A as [k][row]", "products_begin(); multiply_group<true>(c, b, b, false);", 719);
    results("what is no descriptor", "products_begin(); multiply_group<true>(c, a, 5, false);", 719);
    results("a descriptor off its alignment", "data[0] = panel_descriptor(memory + 8, 16, true);", 719);
    results("a part of a warpgroup multiplies", "products_begin(); if (threadIdx.x % 128 < 96) multiply_group<true>(c, a, b, false);", 719);
    results(
        "descriptors that differ",
        "products_begin();\n"
        "multiply_group<true>(c, a, panel_descriptor(memory + threadIdx.x % 2 * 1024, 16, true), false);", 719);
    results(
        "sums that are written before the wait",
        "products_begin(); multiply_group<true>(c, a, b, false); products_commit(); c[3] = 0; products_wait<0>();", 719);
    card.freeAll();
}

void measure(Card &card) {
    const std::string text = R"(
#include "common/hopper.cuh"
extern "C" __global__ void products(float *out, int count) {
    float c[4] = {0, 0, 0, 0};
    const unsigned a[4] = {0x3f803f80u + threadIdx.x, 1, 2, 3}, b[2] = {0x3f803f80u, 5};
    for (int n = 0; n < count; ++n) mma_bfloat16(c, a, b);
    out[threadIdx.x] = c[0] + c[1] + c[2] + c[3];
}
extern "C" __global__ void products_of_groups(float *out, int count) {
    extern __shared__ __align__(128) unsigned char memory[];
    float c[64] = {};
    const unsigned a[4] = {0x3f803f80u + threadIdx.x, 1, 2, 3};
    const unsigned long long b = panel_descriptor(memory, 128, false);
    for (int n = 0; n < count; n += 4) {
        products_begin();
        for (int k = 0; k < 4; ++k) multiply_group<false>(c, a, b, true);
        products_commit();
        products_wait<0>();
    }
    out[threadIdx.x] = c[0] + c[1];
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
    // By how many of them a block of four warps does at once.
    const std::pair<const char *, int> rates[] = {{"products", 4}, {"products_of_groups", 1}, {"doubles", 4}, {"shuffles", 4}};
    for (const auto &[name, atOnce] : rates) {
        void *kernel = card.load("rates.cu", name, {}, text);
        const int count = 20000, blocks = 8;
        const auto start = std::chrono::steady_clock::now();
        card.launch(kernel, {blocks, 1, 1}, 128, 4 << 10, out, count);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        printf("      %s: %.2f million a second, all threads\n", name, 1e-6 * atOnce * count * blocks / seconds);
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
    checkHopper(card);
    measure(card);
    return failures != 0;
}
