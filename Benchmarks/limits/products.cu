// How fast warpgroups multiply, with the left operand in registers or in shared memory: cycles of a product of 16 of k against what its
// columns take. Prints a table.
//
//   nvcc -gencode arch=compute_90a,code=sm_90a -std=c++17 -O3 --expt-relaxed-constexpr -I Sources/CUDAKernels \
//       Benchmarks/limits/products.cu -o products && ./products
#define MATH 0
#define INPUT 2
#include <cstdio>

#include "hopper/panels.cuh"

constexpr int TURNS = 2048;

// `OPERAND`: 0 in shared memory, 1 in registers as it is, 2 in registers, multiplied by one number before.
template <int N, int GROUPS, int SUMS, int OPERAND>
__global__ void __launch_bounds__(128 * GROUPS, 1) multiply(float *out, long long *cycles, unsigned seed) {
    extern __shared__ __align__(1024) unsigned char memory[];
    elem *rows = reinterpret_cast<elem *>(memory), *matrix = rows + 64 * 64 * GROUPS;
    const int thread = threadIdx.x, group = thread / 128;
    // Numbers of both signs: zeros would take less power, and less time.
    for (int n = thread; n < 64 * 64 * GROUPS + 64 * 256; n += 128 * GROUPS)
        rows[n] = static_cast<elem>(0x3c00 + (n * 2654435761u + seed) % 0x400 + (n % 3 == 0 ? 0x8000 : 0));
    fence_products();
    __syncthreads();
    float sums[SUMS][N / 2] = {};
    unsigned last[4][4], operand[2][4][4];
    for (int k = 0; k < 4; ++k)
        for (int n = 0; n < 4; ++n) {
            last[k][n] = 0x3c003c00 + (thread * 77 + k * 5 + n) % 0x300;
            operand[0][k][n] = operand[1][k][n] = last[k][n];
        }
    unsigned factor = 0x3f803f80 + seed;
    const unsigned long long b = panel_descriptor(matrix, 64, true), a = panel_descriptor(rows + 64 * 64 * group, 64, false);
    const long long start = clock64();
    auto make = [&](unsigned (&made)[4][4]) {
        if (OPERAND != 2) return;
        factor ^= 0x00010001;
#pragma unroll
        for (int k = 0; k < 4; ++k)
#pragma unroll
            for (int n = 0; n < 4; ++n) made[k][n] = multiply_bfloat16(last[k][n], factor);
        operands_ready(made);
    };
    make(operand[0]);
#pragma unroll 1
    for (int turn = 0; turn < TURNS; turn += 2) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            products_begin();
#pragma unroll
            for (int k = 0; k < 4; ++k)
#pragma unroll
                for (int m = 0; m < SUMS; ++m) {
                    const unsigned long long columns = panel_advance(b, panel_offset(16 * k, 0, 64));
                    if constexpr (OPERAND == 0)
                        multiply_group<true>(sums[m], panel_advance(a, panel_offset(0, 16 * k, 64)), columns, true);
                    else
                        multiply_group<true>(sums[m], operand[half][k], columns, true);
                }
            products_commit();
            products_wait<1>();
            make(operand[1 - half]);
            if (half == 1) products_wait<0>();
        }
    }
    products_wait<0>();
    const long long end = clock64();
    float total = 0;
    for (int m = 0; m < SUMS; ++m) {
        products_use(sums[m]);
        for (int n = 0; n < N / 2; ++n) total += sums[m][n];
    }
    out[blockIdx.x * blockDim.x + thread] = total;
    if (thread == 0) cycles[blockIdx.x] = end - start;
}

template <int N, int GROUPS, int SUMS, int OPERAND>
void measure(float *out, long long *cycles) {
    const int shared = 2 * (64 * 64 * GROUPS + 64 * 256);
    auto kernel = multiply<N, GROUPS, SUMS, OPERAND>;
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
    cudaEvent_t start, end;
    cudaEventCreate(&start), cudaEventCreate(&end);
    float best = 1e9;
    for (int n = 0; n < 5; ++n) {
        cudaEventRecord(start);
        kernel<<<132, 128 * GROUPS, shared>>>(out, cycles, n);
        cudaEventRecord(end);
        cudaEventSynchronize(end);
        float ms;
        cudaEventElapsedTime(&ms, start, end);
        if (ms < best) best = ms;
    }
    long long one;
    cudaMemcpy(&one, cycles, 8, cudaMemcpyDeviceToHost);
    if (cudaGetLastError() != cudaSuccess) printf("failed\n");
    const double products = double(TURNS) * 4 * SUMS * GROUPS;
    const char *names[] = {"shared", "registers", "expanded"};
    printf(
        "| %d | %d | %d | %s | %.1f | %.0f | %.0f%% | %.0f |\n", N, GROUPS, SUMS, names[OPERAND], one / products, N / 2.0,
        100 * N / 2.0 * products / one, products * 132 * 2 * 64 * N * 16 / best / 1e9);
}

template <int N, int OPERAND>
void all(float *out, long long *cycles) {
    measure<N, 1, 1, OPERAND>(out, cycles);
    measure<N, 2, 1, OPERAND>(out, cycles);
    measure<N, 3, 1, OPERAND>(out, cycles);
    if constexpr (N <= 128) measure<N, 1, 2, OPERAND>(out, cycles);
    if constexpr (N <= 80) measure<N, 2, 2, OPERAND>(out, cycles);
}

int main() {
    float *out;
    long long *cycles;
    cudaMalloc(&out, 132 * 512 * 4), cudaMalloc(&cycles, 132 * 8);
    printf("| columns | warpgroups | sums of each | left operand | cycles | at best | share | TFLOP/s |\n");
    printf("|---|---|---|---|---|---|---|---|\n");
    all<24, 0>(out, cycles), all<24, 1>(out, cycles), all<24, 2>(out, cycles);
    all<40, 1>(out, cycles), all<40, 2>(out, cycles);
    all<64, 0>(out, cycles), all<64, 1>(out, cycles), all<64, 2>(out, cycles);
    all<72, 0>(out, cycles), all<72, 1>(out, cycles), all<72, 2>(out, cycles);
    all<128, 0>(out, cycles), all<128, 1>(out, cycles), all<128, 2>(out, cycles);
}
