// Everything that plain C++ cannot say, and nothing else: one function an instruction. Another implementation of this file, one of
// warps in lockstep on a CPU, runs the same kernels without a card.
#pragma once

__device__ __forceinline__ unsigned shared_address(const void *pointer) {
    return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

// Two numbers rounded to bfloat16, the first in the low half.
__device__ __forceinline__ unsigned pack_bfloat16(float low, float high) {
    unsigned packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

// 1, but unknown to the compiler.
__device__ __forceinline__ float unknown_one() {
    float one;
    asm volatile("mov.f32 %0, 0f3f800000;" : "=f"(one));
    return one;
}

// 2^x, zero where that is no normal number.
__device__ __forceinline__ float exp2_flushed(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

// 1/x, within a unit of the last place.
__device__ __forceinline__ float reciprocal(float x) {
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

__device__ __forceinline__ float float16_to_float(unsigned short x) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x));
    return result;
}

__device__ __forceinline__ unsigned short float_to_float16(float x) {
    unsigned short result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(x));
    return result;
}

// The larger of each two numbers in the halves of two words; a number rather than NaN.
__device__ __forceinline__ unsigned larger_bfloat16(unsigned x, unsigned y) {
    unsigned larger;
    asm("max.bf16x2 %0, %1, %2;" : "=r"(larger) : "r"(x), "r"(y));
    return larger;
}

__device__ __forceinline__ unsigned larger_float16(unsigned x, unsigned y) {
    unsigned larger;
    asm("max.f16x2 %0, %1, %2;" : "=r"(larger) : "r"(x), "r"(y));
    return larger;
}

// Two numbers rounded to float16, the first in the low half.
__device__ __forceinline__ unsigned pack_float16(float low, float high) {
    unsigned packed;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

// The larger of each two numbers in the halves of two words, NaN where one is.
__device__ __forceinline__ unsigned larger_or_nan_float16(unsigned x, unsigned y) {
    unsigned larger;
    asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(larger) : "r"(x), "r"(y));
    return larger;
}

// The bits of x with the 10 bits of precision of TF32.
__device__ __forceinline__ unsigned round_to_tf32(float x) {
    unsigned rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
    return rounded;
}

// C[16, 8] += A[16, 16] B[16, 8] in bfloat16.
__device__ __forceinline__ void mma_bfloat16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// C[16, 8] += A[16, 8] B[8, 8] in TF32.
__device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// C[8, 8] += A[8, 4] B[4, 8] in float64.
__device__ __forceinline__ void mma_float64(double &c0, double &c1, double a, double b) {
    asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+d"(c0), "+d"(c1)
        : "d"(a), "d"(b));
}

// Four matrices of 8 × 8 numbers of 16 bits; lane 8m + r gives the address of row r of matrix m.
__device__ __forceinline__ void load_matrices(unsigned (&r)[4], const void *address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(address))
                 : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(unsigned (&r)[4], const void *address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(address))
                 : "memory");
}

// Two matrices; lanes 0 to 15 give the addresses.
__device__ __forceinline__ void load_two_matrices_transposed(unsigned (&r)[2], const void *address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared_address(address))
                 : "memory");
}

// Numbers that are read once, or zeros. They are asked for here: a plain load the compiler moves to where its value is needed.
__device__ __forceinline__ void load_now(float (&x)[4], const float *global, bool valid) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %5, 0;\n"
        "mov.f32 %0, 0f00000000;\nmov.f32 %1, 0f00000000;\nmov.f32 %2, 0f00000000;\nmov.f32 %3, 0f00000000;\n"
        "@p ld.global.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];\n}\n"
        : "=f"(x[0]), "=f"(x[1]), "=f"(x[2]), "=f"(x[3])
        : "l"(global), "r"(static_cast<int>(valid)));
}

__device__ __forceinline__ void load_now(float (&x)[1], const float *global, bool valid) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %2, 0;\nmov.f32 %0, 0f00000000;\n"
        "@p ld.global.L1::no_allocate.f32 %0, [%1];\n}\n"
        : "=f"(x[0])
        : "l"(global), "r"(static_cast<int>(valid)));
}

// Counts a block, or so many, and gives how many came before. What all threads of those wrote before a barrier ahead of their calls, the
// threads of this block read after a barrier behind its own, past the first-level cache.
__device__ __forceinline__ unsigned count_arrival(unsigned *counter, unsigned count = 1) {
    unsigned before;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;" : "=r"(before) : "l"(counter), "r"(count) : "memory");
    return before;
}

// From here on blocks of the next kernel may start, where its launch says that it takes part, on multiprocessors that the blocks of this one
// leave idle: once all of these have started. Cards before Hopper start it when this one is over.
__device__ __forceinline__ void start_next_kernel() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Waits for the end of the kernel before, of which this one's blocks may have started early.
__device__ __forceinline__ void wait_for_previous_kernel() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Copies 16 bytes, or writes 16 zeros, some time before the wait for its group.
__device__ __forceinline__ void copy_16(void *shared, const void *global, bool valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(shared)), "l"(global), "r"(valid ? 16 : 0)
                 : "memory");
}

// The same for 4 or 8 bytes.
template <int bytes>
__device__ __forceinline__ void copy_few(void *shared, const void *global, bool valid) {
    static_assert(bytes == 4 || bytes == 8, "copy_16 copies 16");
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                 :
                 : "r"(shared_address(shared)), "l"(global), "n"(bytes), "r"(valid ? bytes : 0)
                 : "memory");
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `pending` of the newest groups of copies are under way.
template <int pending>
__device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}
