// state_update and attention_forward against sums in float64.
#pragma once
#include <cmath>

#include "card.hpp"

struct Int4 {
    int x, y, z, w;
};
struct Float2 {
    float x, y;
};

inline float roundToBfloat16(float x) {
    uint32_t word;
    memcpy(&word, &x, 4);
    word = (word + 0x7fff + (word >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &word, 4);
    return x;
}

// Numbers as the kernels keep them, by MATH, and as the reference reads them.
struct Elements {
    std::vector<float> numbers;
    std::vector<uint16_t> words;

    Elements(size_t count, int math, unsigned seed) : numbers(count) {
        for (float &x : numbers) {
            seed = seed * 1664525 + 1013904223;
            x = static_cast<float>(seed >> 8) / (1 << 23) - 1;
            if (math == 0) x = roundToBfloat16(x);
            uint32_t word;
            memcpy(&word, &x, 4);
            words.push_back(word >> 16);
        }
    }

    uint64_t upload(Card &card, int math) const { return math == 0 ? card.upload(words) : card.upload(numbers); }
};

struct Problem {
    int math, degree, input;
    bool isGated;
    int keyHeads = 2, group = 2, width = 32, valueWidth = 32;
    std::vector<Int4> sequences = {{0, 2, 0, 0}, {2, 2, 0, 0}};
    // First token, count, and in w bit 0 the first, bit 1 the last of a sequence.
    std::vector<Int4> chunks = {{0, 48, 0, 1}, {48, 21, 0, 2}, {69, 48, 0, 1}, {117, 1, 0, 2}};
    int tokens = 118;

    // Sorted indices of a feature come first in words of FeatureBlocks; the coefficient is the multinomial one.
    std::vector<unsigned> blocks;
    std::vector<float> coefficients;

    Problem(int math, int degree, int input, bool isGated) : math(math), degree(degree), input(input), isGated(isGated) {
        if (degree == 4) width = 16, valueWidth = 16;
        const int prefixes = degree < 2 ? 1 : degree == 2 ? width : degree == 3 ? width * width : width * width * width;
        for (int last = 0; last < width / 16; ++last)
            for (int prefix = 0; prefix < prefixes; ++prefix) {
                std::vector<int> indices;
                for (int n = 0, rest = prefix; n < degree - 1; ++n, rest /= width) indices.push_back(rest % width);
                bool isSorted = true;
                for (int n = 0; n + 1 < degree - 1; ++n) isSorted &= indices[n] <= indices[n + 1];
                if (!isSorted || (degree > 1 && indices.back() >= last * 16 + 16)) continue;
                unsigned word = static_cast<unsigned>(last) << 24;
                for (int n = 0; n < degree - 1; ++n) word |= static_cast<unsigned>(indices[n]) << 8 * n;
                blocks.push_back(word);
                for (int n = 0; n < 16; ++n) {
                    std::vector<int> all = indices;
                    all.push_back(last * 16 + n);
                    double coefficient = 1;
                    for (int i = 0, run = 0; i < degree; ++i) {
                        run = i > 0 && all[i] == all[i - 1] ? run + 1 : 1;
                        coefficient *= static_cast<double>(i + 1) / run;
                    }
                    const bool isCounted = degree < 2 || all[degree - 2] <= all[degree - 1];
                    coefficients.push_back(isCounted ? static_cast<float>(std::round(coefficient)) : 0);
                }
            }
    }

    std::vector<std::string> macros(std::vector<std::string> more) const {
        auto number = [](const char *name, int value) { return std::string(name) + "=" + std::to_string(value); };
        more.insert(more.end(), {number("MATH", math), number("DEGREE", degree), number("INPUT", input), number("GATED", isGated),
                                 number("WIDTH", width), number("NORMALIZED", 1), number("STAGES", 2)});
        return more;
    }

    double phi(const float *x, size_t feature) const {
        const unsigned block = blocks[feature / 16];
        double result = x[(block >> 24) * 16 + feature % 16];
        for (int n = 0; n < degree - 1; ++n) result *= x[block >> 8 * n & 0xff];
        return result;
    }
};

// The largest error in units of the largest number that should be there; -1 for a NaN.
struct Error {
    double largest = 0, scale = 0;
    bool isNumber = true;

    void add(double found, double expected) {
        largest = std::fmax(largest, std::fabs(found - expected));
        scale = std::fmax(scale, std::fabs(expected));
        isNumber &= std::isfinite(found);
    }
    double relative() const { return isNumber ? largest / scale : -1; }
};

// Runs both kernels; the errors of the final states and of the outputs.
std::pair<double, double> checkKernels(Card &card, const Problem &problem);
