#pragma once

// The umbrella of the module: every header of the target stands here.
#include "attention.h"
#include "cache_attention.h"
#include "convert.h"
#include "crc32.h"
#include "layers.h"
#include "matrix_product.h"
#include "simd.h"
