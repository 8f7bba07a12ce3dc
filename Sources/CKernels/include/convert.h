#pragma once
#include <stdint.h>

/// Converts `count` elements between floating-point types (0: double, 1: float, 2: IEEE half, 3: bfloat16), rounding to
/// nearest-even.
void convert_elements(const void *source, int32_t source_type, void *destination, int32_t destination_type, intptr_t count);
