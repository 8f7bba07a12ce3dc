// Instructions of Hopper against plain loops.
#pragma once
#include "card.hpp"

// Products of all numbers of columns; the largest relative error, -1 for a NaN, -2 for a launch that fails.
double checkProducts(Card &card, bool rowsAreK, bool isShared, bool accumulate);

// One warpgroup copies, two multiply what it has copied. The macro makes a mistake.
double checkRing(Card &card, const char *macro);

double checkMultiplication(Card &card);
