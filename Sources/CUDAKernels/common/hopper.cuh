// The instructions of Hopper (sm_90a) that plain C++ cannot say, one function an instruction, as in common/ptx.cuh: barriers in shared
// memory, bulk copies, the division of registers between warpgroups, and products of a warpgroup of 128 threads.
//
// Matrices in shared memory are panels of 64 columns, rows of 128 bytes, in which the hardware mixes the row into the place of a piece of
// 16 bytes (its swizzle of 128 bytes): number (r, c) stands at 64 · (c / 64 · rows + r) + 8 · (c / 8 mod 8 ⊕ r mod 8) + c mod 8, and the matrix
// at a multiple of 1,024 bytes. Neighbours of a row and of a column are in different banks, a row is written at once, and the same matrix
// serves as [column][k] and as [k][column].
#pragma once
#include "common/ptx.cuh"

// A matrix in memory as the tensor memory accelerator knows it (`cuTensorMapEncodeTiled`): its rows and columns, and those of the boxes that it
// copies, at most 64 columns.
struct __align__(64) TensorMap {
    unsigned long long words[16];
};

// Four matrices of 8 x 8 numbers in the order of load_matrices.
__device__ __forceinline__ void store_matrices(void *address, const unsigned (&r)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(address)), "r"(r[0]), "r"(r[1]),
                 "r"(r[2]), "r"(r[3])
                 : "memory");
}

// A barrier that `count` arrivals complete, again and again; completions have parities 0, 1, 0, …
__device__ __forceinline__ void barrier_init(unsigned long long *barrier, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
}

__device__ __forceinline__ void barrier_arrive(unsigned long long *barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Arrives when all asynchronous copies that this thread has started are done.
__device__ __forceinline__ void barrier_arrive_after_copies(unsigned long long *barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Copies a multiple of 16 bytes at once, by the tensor memory accelerator. A completion of the barrier waits for them too, and it is not complete
// until this thread has arrived.
__device__ __forceinline__ void copy_bulk(void *shared, const void *global, int bytes, unsigned long long *barrier) {
    asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared_address(shared)),
                 "l"(global), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
}

// The same for a box of a matrix, from (row, column) on, which becomes a panel of 64 columns; what is beyond the matrix becomes zero. `bytes` are the
// whole box's.
__device__ __forceinline__ void copy_box(
    void *shared, const TensorMap &matrix, int row, int column, int bytes, unsigned long long *barrier
) {
    asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
                     shared_address(shared)),
                 "l"(&matrix), "r"(column), "r"(row), "r"(shared_address(barrier))
                 : "memory");
}

// The other way: the memory is written, and seen by this thread, once its group of such copies is waited for; until then shared memory stays
// as it is.
__device__ __forceinline__ void store_bulk(void *global, const void *shared, int bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global), "r"(shared_address(shared)), "r"(bytes)
                 : "memory");
}

// The same for a box that is a panel. What is beyond the matrix is not written.
__device__ __forceinline__ void store_box(const TensorMap &matrix, int row, int column, const void *shared) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(&matrix), "r"(column), "r"(row),
                 "r"(shared_address(shared))
                 : "memory");
}

__device__ __forceinline__ void commit_bulk_stores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
__device__ __forceinline__ void wait_bulk_stores() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }
// Shared memory has been read, but for the newest `pending` groups.
template <int pending = 0>
__device__ __forceinline__ void wait_bulk_reads() {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(pending) : "memory");
}

// Waits for the completion of this parity; that before the first one has parity 1, and has happened.
__device__ __forceinline__ void barrier_wait(unsigned long long *barrier, int parity) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@done bra finished;\n"
        "bra again;\n"
        "finished:\n"
        "}\n" ::"r"(shared_address(barrier)), "r"(parity)
        : "memory");
}

// What this thread wrote to shared memory is seen by products that start after a barrier from here.
__device__ __forceinline__ void fence_products() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// The threads of a few warps meet. Barrier 0 is that of __syncthreads.
template <int threads>
__device__ __forceinline__ void named_barrier(int barrier) {
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(threads) : "memory");
}

// A warpgroup changes the registers of its threads; all of its threads together.
template <int registers>
__device__ __forceinline__ void lower_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

template <int registers>
__device__ __forceinline__ void raise_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

// Two products of two numbers in bfloat16, rounded.
__device__ __forceinline__ unsigned multiply_bfloat16(unsigned a, unsigned b) {
    unsigned product;
    asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(product) : "r"(a), "r"(b));
    return product;
}

// Two numbers in bfloat16 times the low or the high one of another two, rounded. The instruction takes a half for both where the code says so
// by halves, not by permuted bytes.
__device__ __forceinline__ unsigned multiply_by_low_bfloat16(unsigned a, unsigned b) {
    unsigned both;
    asm("{\n.reg .b16 low, high;\nmov.b32 {low, high}, %1;\nmov.b32 %0, {low, low};\n}\n" : "=r"(both) : "r"(b));
    return multiply_bfloat16(a, both);
}

__device__ __forceinline__ unsigned multiply_by_high_bfloat16(unsigned a, unsigned b) {
    unsigned both;
    asm("{\n.reg .b16 low, high;\nmov.b32 {low, high}, %1;\nmov.b32 %0, {high, high};\n}\n" : "=r"(both) : "r"(b));
    return multiply_bfloat16(a, both);
}

// The larger magnitudes of two pairs of numbers in bfloat16, their signs anything; those of NaN count as none.
__device__ __forceinline__ unsigned larger_sizes_bfloat16(unsigned x, unsigned y) {
    unsigned larger;
    asm("max.xorsign.abs.bf16x2 %0, %1, %2;" : "=r"(larger) : "r"(x), "r"(y));
    return larger;
}

// A matrix of panels of so many rows for the hardware, 16 of k and any number of the other index, from number (r, c) on: r a multiple of 8,
// c of 16. As [column][k] the rows of the memory are columns of B (rows of A), as [k][column] they are k.
__device__ __forceinline__ unsigned long long panel_descriptor(const void *first, int rows, bool rowsAreK) {
    const unsigned long long panel = static_cast<unsigned long long>(rows) * 8, eightRows = 64, swizzle = 1;
    return (shared_address(first) & 0x3ffffu) >> 4 | (rowsAreK ? panel : 1) << 16 | eightRows << 32 | swizzle << 62;
}

// The same matrix from `numbers` further on, a multiple of 8: one addition of 32 bits, where a new descriptor takes registers that products
// need.
__device__ __forceinline__ unsigned long long panel_advance(unsigned long long matrix, int numbers) {
    unsigned long long advanced;
    asm("{\n"
        ".reg .b32 low, high;\n"
        "mov.b64 {low, high}, %1;\n"
        "add.u32 low, low, %2;\n"
        "mov.b64 %0, {low, high};\n"
        "}\n"
        : "=l"(advanced)
        : "l"(matrix), "r"(numbers / 8));
    return advanced;
}

// Brings the line of an address to the second-level cache, for those who read it soon.
__device__ __forceinline__ void prefetch(const void *address) { asm volatile("prefetch.global.L2 [%0];" ::"l"(address)); }

// The thread's index, read once: the compiler would read it again and again, each time behind the products under way.
__device__ __forceinline__ int thread_index() {
    int index;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
    return index;
}

// Counts one more in global memory; whoever sees that sees what this thread wrote before, or knows to be written.
__device__ __forceinline__ void count_globally(int *number) {
    asm volatile("red.release.gpu.global.add.s32 [%0], 1;" ::"l"(number) : "memory");
}

// Waits until others have counted so far, and sees what they wrote, in bulk copies too.
__device__ __forceinline__ void wait_for_count(const int *number, int count) {
    for (int counted = 0;;) {
        asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(counted) : "l"(number) : "memory");
        if (counted >= count) break;
        __nanosleep(200);
    }
    asm volatile("fence.proxy.async.global;" ::: "memory");
}

// Registers of sums and of A are the products' from here on, until they are waited for.
__device__ __forceinline__ void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until at most `pending` of the newest groups of products are under way.
template <int pending>
__device__ __forceinline__ void products_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

// Keeps the compiler from moving uses of sums across a wait.
template <int count>
__device__ __forceinline__ void products_use(float (&c)[count]) {
#pragma unroll
    for (int n = 0; n < count; ++n) asm volatile("" : "+f"(c[n])::"memory");
}

// Makes A ready here: before a wait, the compiler would make it after.
template <int count>
__device__ __forceinline__ void operands_ready(unsigned (&a)[count][4]) {
#pragma unroll
    for (int n = 0; n < count; ++n) asm volatile("" : "+r"(a[n][0]), "+r"(a[n][1]), "+r"(a[n][2]), "+r"(a[n][3])::"memory");
}

// Makes words of what was loaded as halves of them: around a loop, the compiler would keep halves, and clear the others at every use.
template <int count>
__device__ __forceinline__ void words_ready(unsigned (&words)[count]) {
#pragma unroll
    for (int n = 0; n < count; ++n) asm volatile("" : "+r"(words[n]));
}

// Sums over 64 rows: warp w of the group holds rows 16w to 16w + 15, eight columns in every C of a warp's products (fragments.cuh).
//
// C[64, N] = A[64, 16] B[16, N], added to C where `accumulate`. A from registers, each warp's 16 rows as a FragmentA, or from shared
// memory as [row][k]; B as [k][column] where `rowsAreK`, as [column][k] otherwise.

#define SUMS_4(n) "+f"(c[n]), "+f"(c[n + 1]), "+f"(c[n + 2]), "+f"(c[n + 3])
#define SUMS_8 SUMS_4(0), SUMS_4(4)
#define SUMS_12 SUMS_8, SUMS_4(8)
#define SUMS_16 SUMS_12, SUMS_4(12)
#define SUMS_20 SUMS_16, SUMS_4(16)
#define SUMS_24 SUMS_20, SUMS_4(20)
#define SUMS_28 SUMS_24, SUMS_4(24)
#define SUMS_32 SUMS_28, SUMS_4(28)
#define SUMS_36 SUMS_32, SUMS_4(32)
#define SUMS_40 SUMS_36, SUMS_4(36)
#define SUMS_44 SUMS_40, SUMS_4(40)
#define SUMS_48 SUMS_44, SUMS_4(44)
#define SUMS_52 SUMS_48, SUMS_4(48)
#define SUMS_56 SUMS_52, SUMS_4(52)
#define SUMS_60 SUMS_56, SUMS_4(56)
#define SUMS_64 SUMS_60, SUMS_4(60)
#define SUMS_68 SUMS_64, SUMS_4(64)
#define SUMS_16_FROM(n) SUMS_4(n), SUMS_4(n + 4), SUMS_4(n + 8), SUMS_4(n + 12)
#define SUMS_128 SUMS_64, SUMS_16_FROM(64), SUMS_16_FROM(80), SUMS_16_FROM(96), SUMS_16_FROM(112)
#define NAMES_8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define NAMES_12 NAMES_8 ", %8, %9, %10, %11"
#define NAMES_16 NAMES_12 ", %12, %13, %14, %15"
#define NAMES_20 NAMES_16 ", %16, %17, %18, %19"
#define NAMES_24 NAMES_20 ", %20, %21, %22, %23"
#define NAMES_28 NAMES_24 ", %24, %25, %26, %27"
#define NAMES_32 NAMES_28 ", %28, %29, %30, %31"
#define NAMES_36 NAMES_32 ", %32, %33, %34, %35"
#define NAMES_40 NAMES_36 ", %36, %37, %38, %39"
#define NAMES_44 NAMES_40 ", %40, %41, %42, %43"
#define NAMES_48 NAMES_44 ", %44, %45, %46, %47"
#define NAMES_52 NAMES_48 ", %48, %49, %50, %51"
#define NAMES_56 NAMES_52 ", %52, %53, %54, %55"
#define NAMES_60 NAMES_56 ", %56, %57, %58, %59"
#define NAMES_64 NAMES_60 ", %60, %61, %62, %63"
#define NAMES_68 NAMES_64 ", %64, %65, %66, %67"
#define NAMES_128 \
    NAMES_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
             ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95" \
             ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
             ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

// Whether to add is written into the instruction: where a register says so, the compiler may keep what it thinks the sums hold before the
// first product, all around a loop.
#define MULTIPLY_SHARED(columns, sums, accumulate, p0, p1, p2)                                                                \
    asm volatile(                                                                                                             \
        "{\n.reg .pred p;\nmov.pred p, " #accumulate ";\n"                                                                    \
        "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" NAMES_##sums "}, %" #p0 ", %" #p1                  \
        ", p, 1, 1, 0, %" #p2 ";\n}\n"                                                                                        \
        : SUMS_##sums                                                                                                         \
        : "l"(a), "l"(b), "n"(rowsAreK ? 1 : 0))

#define DEFINE_PRODUCTS(columns, sums, p0, p1, p2, p3, p4, p5, p6)                                                               \
    template <bool rowsAreK>                                                                                                      \
    __device__ __forceinline__ void multiply_group(                                                                               \
        float (&c)[sums], const unsigned (&a)[4], unsigned long long b, bool accumulate                                           \
    ) {                                                                                                                           \
        asm volatile(                                                                                                             \
            "{\n.reg .pred p;\nsetp.ne.b32 p, %" #p5 ", 0;\n"                                                                     \
            "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" NAMES_##sums "}, {%" #p0 ", %" #p1 ", %" #p2 ", %" #p3  \
            "}, %" #p4 ", p, 1, 1, %" #p6 ";\n}\n"                                                                                \
            : SUMS_##sums                                                                                                         \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(accumulate)), "n"(rowsAreK ? 1 : 0));     \
    }                                                                                                                             \
    template <bool rowsAreK>                                                                                                  \
    __device__ __forceinline__ void multiply_group(                                                                           \
        float (&c)[sums], unsigned long long a, unsigned long long b, bool accumulate                                         \
    ) {                                                                                                                       \
        if (accumulate) {                                                                                                     \
            MULTIPLY_SHARED(columns, sums, 1, p0, p1, p2);                                                                    \
        } else {                                                                                                              \
            MULTIPLY_SHARED(columns, sums, 0, p0, p1, p2);                                                                    \
        }                                                                                                                     \
    }

DEFINE_PRODUCTS(16, 8, 8, 9, 10, 11, 12, 13, 14)
DEFINE_PRODUCTS(24, 12, 12, 13, 14, 15, 16, 17, 18)
DEFINE_PRODUCTS(32, 16, 16, 17, 18, 19, 20, 21, 22)
DEFINE_PRODUCTS(40, 20, 20, 21, 22, 23, 24, 25, 26)
DEFINE_PRODUCTS(48, 24, 24, 25, 26, 27, 28, 29, 30)
DEFINE_PRODUCTS(56, 28, 28, 29, 30, 31, 32, 33, 34)
DEFINE_PRODUCTS(64, 32, 32, 33, 34, 35, 36, 37, 38)
DEFINE_PRODUCTS(72, 36, 36, 37, 38, 39, 40, 41, 42)
DEFINE_PRODUCTS(80, 40, 40, 41, 42, 43, 44, 45, 46)
DEFINE_PRODUCTS(88, 44, 44, 45, 46, 47, 48, 49, 50)
DEFINE_PRODUCTS(96, 48, 48, 49, 50, 51, 52, 53, 54)
DEFINE_PRODUCTS(104, 52, 52, 53, 54, 55, 56, 57, 58)
DEFINE_PRODUCTS(112, 56, 56, 57, 58, 59, 60, 61, 62)
DEFINE_PRODUCTS(120, 60, 60, 61, 62, 63, 64, 65, 66)
DEFINE_PRODUCTS(128, 64, 64, 65, 66, 67, 68, 69, 70)
DEFINE_PRODUCTS(136, 68, 68, 69, 70, 71, 72, 73, 74)
DEFINE_PRODUCTS(256, 128, 128, 129, 130, 131, 132, 133, 134)

#undef DEFINE_PRODUCTS
#undef MULTIPLY_SHARED
