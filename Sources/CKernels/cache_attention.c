#include "cache_attention.h"
#include "elementary.h"
#include "simd.h"
#include <math.h>

#define REAL float
#define KERNEL(name) name##_float
#define EXP exp_real_float
#include "cache_attention.inc"
#undef REAL
#undef KERNEL
#undef EXP

#define REAL double
#define KERNEL(name) name##_double
#define EXP exp_real_double
#include "cache_attention.inc"
