#pragma once
#include <stdint.h>

/// The answer `y [e]` to one query from `count` cached tokens, of which the last is the query's own: token `j` has its key at
/// `keys + j·stride·d`, its value at `values + j·stride·e` and its log-gate at `gates[j·stride]`.
///
/// `degree` is the power of the score, or 0 for its exponential; the weights are divided by their sum where `normalize` is nonzero.
/// `workspace` holds `2·count` numbers.
void attend_cache_float(const float *q, const float *keys, const float *values, const float *gates, intptr_t stride, intptr_t d,
                        intptr_t e, intptr_t count, int32_t degree, int32_t normalize, double scale, double *workspace, float *y);
void attend_cache_double(const double *q, const double *keys, const double *values, const double *gates, intptr_t stride,
                         intptr_t d, intptr_t e, intptr_t count, int32_t degree, int32_t normalize, double scale,
                         double *workspace, double *y);
