// The rows of a tile of the forward kernel: 64 of each of GROUPS warpgroups, in ROW_SETS sets. Where features of a state are made there may be two
// of them: what a warp does once for a tile of the state serves both, and the products of one set are under way while the other's features are
// made. What follows the state takes one set after another, as if each were an item of its own.
#pragma once
#include "hopper/item.cuh"

constexpr int SET_ROWS = 64 * GROUPS;
constexpr int ROWS = ROW_SETS * SET_ROWS;
static_assert(ROW_SETS == 1 || (ROW_SETS == 2 && STATES && DEGREE > 2), "two sets share a state of features");

// What follows is done for every set of an item, each as an item of its own. For one there is no loop, and no other item: the compiler would make
// other code of them.
#if ROW_SETS == 1
#define FOR_EVERY_SET(item) if constexpr (constexpr int set = 0; true)
#define SET_OF(item, n) item
#else
#define FOR_EVERY_SET(item) _Pragma("unroll 1") for (int set = 0; set < ((item).count + SET_ROWS - 1) / SET_ROWS; ++set)
#define SET_OF(item, n) set_of(item, n)
__device__ __forceinline__ Item set_of(const Item &item, int n) {
    Item set = item;
    set.firstToken += n * SET_ROWS, set.count = min(item.count - n * SET_ROWS, SET_ROWS);
    return set;
}
#endif
