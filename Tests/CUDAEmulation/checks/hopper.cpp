#include "hopper.hpp"

#include "kernels.hpp"

namespace {

// Matrices stand within larger ones, so that a wrong stride shows.
const char *const productsText = R"(
#include "common/hopper.cuh"

constexpr int DEPTH = 32;

__device__ int panel_place(int row, int column, int rows) {
    return 64 * (column / 64 * rows + row) + (column / 8 ^ row) % 8 * 8 + column % 8;
}

template <int columns>
__device__ void multiply_all(const unsigned short *a, const unsigned short *b, float *sums) {
    extern __shared__ __align__(128) unsigned char memory[];
    constexpr int rowsOfA = 64 + 24, rowsOfB = (B_ROWS_ARE_K ? DEPTH : columns) + 16;
    unsigned short *const first = reinterpret_cast<unsigned short *>(memory) + 64 * 8;
    unsigned short *const second = first + 64 * rowsOfA;
    for (int n = threadIdx.x; n < 64 * DEPTH; n += 128) {
        const int row = n / DEPTH, k = n % DEPTH;
        first[panel_place(row, k, rowsOfA)] = a[n];
    }
    for (int n = threadIdx.x; n < columns * DEPTH; n += 128) {
        const int k = n / columns, column = n % columns, row = B_ROWS_ARE_K ? k : column, other = B_ROWS_ARE_K ? column : k;
        second[panel_place(row, other, rowsOfB)] = b[n];
    }
    fence_products();
    __syncthreads();
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4, pair = lane % 4;
    float c[columns / 2];
    for (int n = 0; n < columns / 2; ++n) c[n] = ACCUMULATE ? sums[(row + n / 2 % 2 * 8) * columns + n / 4 * 8 + 2 * pair + n % 2] : 77;
    products_begin();
#pragma unroll
    for (int k = 0; k < DEPTH; k += 16) {
        const unsigned short *const place = second + (B_ROWS_ARE_K ? 64 * k : k);
        const unsigned long long b = panel_descriptor(place, rowsOfB, B_ROWS_ARE_K);
        if (A_IS_SHARED) {
            multiply_group<B_ROWS_ARE_K>(c, panel_descriptor(first + k, rowsOfA, false), b, ACCUMULATE || k > 0);
        } else {
            unsigned fragment[4];
            for (int n = 0; n < 4; ++n)
                fragment[n] = reinterpret_cast<const unsigned *>(a)[(row + n % 2 * 8) * DEPTH / 2 + k / 2 + n / 2 * 4 + pair];
            multiply_group<B_ROWS_ARE_K>(c, fragment, b, ACCUMULATE || k > 0);
        }
    }
    products_commit();
    products_wait<0>();
    products_use(c);
    for (int n = 0; n < columns / 2; ++n) sums[(row + n / 2 % 2 * 8) * columns + n / 4 * 8 + 2 * pair + n % 2] = c[n];
}

extern "C" __global__ void __launch_bounds__(128) products(const unsigned short *a, const unsigned short *b, float *sums, int columns) {
    switch (columns) {
    case 16: return multiply_all<16>(a, b, sums);
    case 24: return multiply_all<24>(a, b, sums);
    case 32: return multiply_all<32>(a, b, sums);
    case 40: return multiply_all<40>(a, b, sums);
    case 48: return multiply_all<48>(a, b, sums);
    case 56: return multiply_all<56>(a, b, sums);
    case 64: return multiply_all<64>(a, b, sums);
    case 72: return multiply_all<72>(a, b, sums);
    case 80: return multiply_all<80>(a, b, sums);
    case 88: return multiply_all<88>(a, b, sums);
    case 96: return multiply_all<96>(a, b, sums);
    case 104: return multiply_all<104>(a, b, sums);
    case 112: return multiply_all<112>(a, b, sums);
    case 120: return multiply_all<120>(a, b, sums);
    case 128: return multiply_all<128>(a, b, sums);
    default: return multiply_all<136>(a, b, sums);
    }
}
)";

// Stages of 16 rows k of 64 columns. Each of the two warpgroups that multiply has its own 64 rows of A, which its threads read
// themselves; sums of one step are added to those of the last one while these are under way.
const char *const ringText = R"(
#include "common/hopper.cuh"

constexpr int STAGES = 3, COLUMNS = 64;

extern "C" __global__ void __launch_bounds__(384) ring(const unsigned *a, const unsigned short *b, float *sums, int steps) {
    extern __shared__ __align__(128) unsigned char memory[];
    unsigned short *const stages = reinterpret_cast<unsigned short *>(memory);
    unsigned long long *const full = reinterpret_cast<unsigned long long *>(stages + STAGES * 16 * COLUMNS), *const empty = full + STAGES;
    if (threadIdx.x < STAGES) {
        barrier_init(full + threadIdx.x, 128);
        barrier_init(empty + threadIdx.x, 256);
    }
    __syncthreads();
    if (threadIdx.x < 128) {
        lower_registers<40>();
        const int k = threadIdx.x % 16, column = threadIdx.x / 16 * 8;
        for (int step = 0; step < steps; ++step) {
            const int stage = step % STAGES;
            barrier_wait(empty + stage, step / STAGES % 2 ^ 1);
            copy_16(stages + stage * 16 * COLUMNS + 64 * k + (column / 8 ^ k) % 8 * 8, b + (step * 16 + k) * COLUMNS + column, true);
            commit_copies();
#ifdef UNREADY
            barrier_arrive(full + stage);
        }
#else
            if (step == 0) continue;
            wait_copies<1>();
            fence_products();
            barrier_arrive(full + (step - 1) % STAGES);
        }
        wait_copies<0>();
        fence_products();
        barrier_arrive(full + (steps - 1) % STAGES);
#endif
        return;
    }
    raise_registers<232>();
    const int lane = threadIdx.x % 32, row = (threadIdx.x / 32 - 4) * 16 + lane / 4, pair = lane % 4;
    float c[COLUMNS / 2];
    for (int step = 0; step < steps; ++step) {
        const int stage = step % STAGES;
        unsigned fragment[4];
        for (int n = 0; n < 4; ++n) fragment[n] = a[(row + n % 2 * 8) * steps * 8 + step * 8 + n / 2 * 4 + pair];
        barrier_wait(full + stage, step / STAGES % 2);
        products_begin();
        multiply_group<true>(c, fragment, panel_descriptor(stages + stage * 16 * COLUMNS, 16, true), step > 0);
        products_commit();
#ifdef EARLY
        barrier_arrive(empty + stage);
        products_wait<1>();
#else
        products_wait<1>();
#ifndef KEPT
        if (step > 0) barrier_arrive(empty + (step - 1) % STAGES);
#endif
#endif
    }
#ifndef UNFINISHED
    products_wait<0>();
#endif
    products_use(c);
    for (int n = 0; n < COLUMNS / 2; ++n) sums[(row + n / 2 % 2 * 8) * COLUMNS + n / 4 * 8 + 2 * pair + n % 2] = c[n];
}
)";

const char *const multiplicationText = R"(
#include "common/hopper.cuh"
extern "C" __global__ void __launch_bounds__(128) multiplication(const unsigned *a, const unsigned *b, unsigned *c) {
    const int n = blockIdx.x * 128 + threadIdx.x, count = gridDim.x * 128;
    c[n] = multiply_bfloat16(a[n], b[n]);
    c[count + n] = multiply_by_low_bfloat16(a[n], b[n]);
    c[2 * count + n] = multiply_by_high_bfloat16(a[n], b[n]);
}
)";

float widen(uint16_t word) {
    const uint32_t bits = static_cast<uint32_t>(word) << 16;
    float result;
    memcpy(&result, &bits, 4);
    return result;
}

void addProduct(
    Error &error, const std::vector<float> &found, const std::vector<float> &before, const Elements &a, const Elements &b, int rows,
    int columns, int depth
) {
    for (int row = 0; row < rows; ++row)
        for (int column = 0; column < columns; ++column) {
            double sum = before.empty() ? 0 : before[row * columns + column];
            for (int k = 0; k < depth; ++k) sum += static_cast<double>(a.numbers[row * depth + k]) * b.numbers[k * columns + column];
            error.add(found[row * columns + column], sum);
        }
}

}  // namespace

double checkProducts(Card &card, bool rowsAreK, bool isShared, bool accumulate) {
    auto macro = [](const char *name, bool value) { return std::string(name) + (value ? "=true" : "=false"); };
    void *products = card.load(
        "products.cu", "products",
        {macro("B_ROWS_ARE_K", rowsAreK), macro("A_IS_SHARED", isShared), macro("ACCUMULATE", accumulate)}, productsText);
    Error error;
    for (int columns : {16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136}) {
        const Elements a(64 * 32, 0, 1), b(32 * columns, 0, 2), before(64 * columns, 1, 3);
        const uint64_t sums = card.upload(before.numbers);
        const int result = card.launch(products, {1, 1, 1}, 128, 72 << 10, a.upload(card, 0), b.upload(card, 0), sums, columns);
        if (result != 0) return -2;
        addProduct(
            error, card.download<float>(sums, 64 * columns), accumulate ? before.numbers : std::vector<float>(), a, b, 64, columns, 32);
    }
    return error.relative();
}

double checkRing(Card &card, const char *macro) {
    const int steps = 11;
    std::vector<std::string> macros;
    if (*macro != 0) macros.push_back(macro);
    void *ring = card.load("ring.cu", "ring", macros, ringText);
    const Elements a(128 * steps * 16, 0, 1), b(steps * 16 * 64, 0, 2);
    const uint64_t sums = card.allocate(128 * 64 * 4);
    // Two blocks, since fibers take turns upward in one and downward in the other.
    if (card.launch(ring, {2, 1, 1}, 384, 8 << 10, a.upload(card, 0), b.upload(card, 0), sums, steps) != 0) return -2;
    Error error;
    addProduct(error, card.download<float>(sums, 128 * 64), {}, a, b, 128, 64, steps * 16);
    return error.relative();
}

// Products are exact in float64, and rounding them to eight bits by hand differs from the emulation's way.
double checkMultiplication(Card &card) {
    const int count = 1 << 14;
    std::vector<uint32_t> a(count), b(count);
    uint32_t seed = 1;
    for (int n = 0; n < count; ++n)
        for (uint32_t *word : {&a[n], &b[n]}) {
            *word = 0;
            for (int half = 0; half < 2; ++half) {
                seed = seed * 1664525 + 1013904223;
                // Exponents of products from those of the smallest numbers, which lose bits, to infinity.
                *word |= ((seed >> 8 & 0x807f) | (seed >> 24) % 255 << 7) << 16 * half;
            }
        }
    a[0] = 0x7fc07f80, b[0] = 0x3f800000;
    const uint64_t products = card.allocate(3 * count * 4);
    void *kernel = card.load("multiplication.cu", "multiplication", {}, multiplicationText);
    if (card.launch(kernel, {count / 128, 1, 1}, 128, 0, card.upload(a), card.upload(b), products) != 0) return -2;
    const std::vector<uint32_t> found = card.download<uint32_t>(products, 3 * count);
    if (found[0] != 0x7fff7fff) return -1;
    for (int n = 1; n < 3 * count; ++n)
        for (int half = 0; half < 2; ++half) {
            // Of both halves with their own of b, with the low and with the high one.
            const int kind = n / count, other = kind == 0 ? half : kind - 1;
            if (n % count == 0) continue;
            const uint16_t word = found[n] >> 16 * half;
            const double exact = static_cast<double>(widen(a[n % count] >> 16 * half)) * widen(b[n % count] >> 16 * other);
            const double unit = std::ldexp(1.0, exact == 0 ? 0 : std::max(std::ilogb(exact) - 7, -133));
            const double rounded = std::nearbyint(exact / unit) * unit;
            const double expected = std::fabs(rounded) >= 0x1p128 ? std::copysign(INFINITY, rounded) : rounded;
            if (widen(word) != expected) return 1;
        }
    return 0;
}
