#pragma once

/// Marks a plain loop that the compiler vectorizes: compiled once for each x86-64 level, chosen when the program is loaded.
#if defined(__x86_64__) && defined(__linux__)
#define POWER_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define POWER_CLONES
#endif
