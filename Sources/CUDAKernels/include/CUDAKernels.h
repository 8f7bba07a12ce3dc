#ifndef CUDA_KERNELS_H
#define CUDA_KERNELS_H

#include <stddef.h>

/// The source of one kernel file: its path below the folder of the kernels, and its bytes.
struct cuda_kernel_file {
    const char *_Nonnull path;
    const char *_Nonnull text;
    size_t size;
};

/// The files of the kernels, one after another; the number of files is `cuda_kernel_file_count`.
const struct cuda_kernel_file *_Nonnull cuda_kernel_files(void);
size_t cuda_kernel_file_count(void);

#endif
