#include "kernels.hpp"

namespace {

// Per key head, cumulative log2 of gates since the start of the chunk of each token, high and low part.
std::vector<Float2> makeGates(const Problem &problem) {
    std::vector<Float2> gates(static_cast<size_t>(problem.keyHeads) * problem.tokens);
    for (int head = 0; head < problem.keyHeads; ++head)
        for (const Int4 &chunk : problem.chunks) {
            double sum = 0;
            for (int n = 0; n < chunk.y; ++n) {
                const int token = chunk.x + n;
                sum += -0.01 - 0.05 * ((token * 7 + head * 3) % 11);
                const float high = static_cast<float>(sum);
                gates[static_cast<size_t>(head) * problem.tokens + token] = {high, static_cast<float>(sum - high)};
            }
        }
    return gates;
}

double gate(const std::vector<Float2> &gates, const Problem &problem, int head, int token) {
    const Float2 &pair = gates[static_cast<size_t>(head) * problem.tokens + token];
    return problem.isGated ? static_cast<double>(pair.x) + pair.y : 0;
}

float halfToFloat(uint16_t x) {
    const int exponent = x >> 10 & 31, fraction = x & 0x3ff;
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    return static_cast<float>(x >> 15 ? -magnitude : magnitude);
}

float inputToFloat(uint16_t x, int input) {
    if (input == 1) return halfToFloat(x);
    const uint32_t word = static_cast<uint32_t>(x) << 16;
    float result;
    memcpy(&result, &word, 4);
    return result;
}

}  // namespace

std::pair<double, double> checkKernels(Card &card, const Problem &problem) {
    const int math = problem.math, keyHeads = problem.keyHeads, heads = keyHeads * problem.group, tokens = problem.tokens;
    const int width = problem.width, valueWidth = problem.valueWidth, stateStride = valueWidth + 8;
    const int blockCount = static_cast<int>(problem.blocks.size()), features = blockCount * 16;
    const Elements q(static_cast<size_t>(tokens) * heads * width, math, 1), k(static_cast<size_t>(tokens) * keyHeads * width, math, 2),
        v(static_cast<size_t>(tokens) * keyHeads * valueWidth, math, 3);
    const std::vector<Float2> gates = makeGates(problem);
    const uint64_t none = 0;
    const uint64_t qd = q.upload(card, math), kd = k.upload(card, math), vd = v.upload(card, math), gd = card.upload(gates);
    const uint64_t blocks = card.upload(problem.blocks), coefficients = card.upload(problem.coefficients);
    const uint64_t chunks = card.upload(problem.chunks), sequences = card.upload(problem.sequences);
    const uint64_t keyExponents = card.upload(std::vector<int>(problem.chunks.size() * keyHeads, 0));
    const uint64_t queryExponents = card.upload(std::vector<int>(static_cast<size_t>(tokens) * heads, 0));
    const size_t elemBytes = math == 0 ? 2 : 4, stateSize = static_cast<size_t>(features) * stateStride;
    const uint64_t states = card.allocate(problem.chunks.size() * keyHeads * stateSize * elemBytes);
    const size_t lastCount = problem.sequences.size() * keyHeads * stateSize;
    const uint64_t last = card.allocate(lastCount * 4);

    void *update = card.load(
        "state/update.cu", "state_update", problem.macros({"VALUE_TILE=16", "WARPS=4", "ROW_TILES=1", "TOKENS=16", "REVERSE=0", "BLOCKS=1"}));
    const unsigned updateBytes = static_cast<unsigned>(2 * 16 * ((width + 8 + 16 + 8) * elemBytes + 8));
    const unsigned updateGrid = (blockCount + 3) / 4;
    if (card.launch(
            update, {updateGrid, static_cast<unsigned>(keyHeads * valueWidth / 16), static_cast<unsigned>(problem.sequences.size())}, 128,
            updateBytes, kd, none, none, vd, none, none, gd, blocks, coefficients, keyExponents, none, sequences, chunks, none, states, last, tokens,
            keyHeads, 1, valueWidth, blockCount)
        != 0)
        return {-2, -2};

    Error stateError;
    const std::vector<float> found = card.download<float>(last, lastCount);
    for (size_t s = 0; s < problem.sequences.size(); ++s)
        for (int head = 0; head < keyHeads; ++head) {
            std::vector<double> state(stateSize, 0);
            for (int c = 0; c < problem.sequences[s].y; ++c) {
                const Int4 chunk = problem.chunks[problem.sequences[s].x + c];
                const double end = gate(gates, problem, head, chunk.x + chunk.y - 1);
                for (double &x : state) x *= std::exp2(end);
                for (int token = chunk.x; token < chunk.x + chunk.y; ++token) {
                    const double decay = std::exp2(end - gate(gates, problem, head, token));
                    const size_t row = static_cast<size_t>(token) * keyHeads + head;
                    for (int f = 0; f < features; ++f) {
                        const double weight = decay * problem.phi(&k.numbers[row * width], f);
                        for (int n = 0; n < valueWidth; ++n) state[f * stateStride + n] += weight * v.numbers[row * valueWidth + n];
                        state[f * stateStride + valueWidth] += weight;
                    }
                }
            }
            for (size_t n = 0; n < stateSize; ++n) stateError.add(found[(s * keyHeads + head) * stateSize + n], state[n]);
        }

    std::vector<Int4> tiles;
    for (size_t c = 0; c < problem.chunks.size(); ++c)
        for (int first = 0; first < problem.chunks[c].y; first += 32)
            tiles.push_back(
                {problem.chunks[c].x + first, std::min(32, problem.chunks[c].y - first), static_cast<int>(c), problem.chunks[c].x});
    const size_t inputBytes = problem.input == 0 ? 4 : 2, outputs = static_cast<size_t>(tokens) * heads * valueWidth;
    const uint64_t y = card.allocate(outputs * inputBytes), statistics = card.allocate(static_cast<size_t>(tokens) * heads * 4);
    void *forward = card.load(
        "attention/forward.cu", "attention_forward",
        problem.macros({"VALUE_TILE=16", "WARPS=2", "ROW_TILES=1", "KEYS=16", "FEATURES=32", "STATES=1", "BLOCKS=1"}));
    const size_t keyStage = 16 * ((width + 8 + 24) * elemBytes + 12), stateStage = 32 * 24 * elemBytes;
    const unsigned forwardBytes = static_cast<unsigned>(32 * (width + 8) * elemBytes + 2 * std::max(keyStage, stateStage));
    if (card.launch(
            forward, {static_cast<unsigned>(tiles.size()), static_cast<unsigned>(heads), static_cast<unsigned>(valueWidth / 16)}, 64,
            forwardBytes, qd, kd, none, none, none, vd, gd, none, states, blocks, queryExponents, keyExponents, card.upload(tiles), chunks, y, none, statistics, tokens,
            heads, keyHeads, valueWidth, valueWidth, blockCount, 0, 0, 1.0f, 0)
        != 0)
        return {stateError.relative(), -2};

    std::vector<float> outputsFound;
    if (problem.input == 0) {
        outputsFound = card.download<float>(y, outputs);
    } else {
        for (uint16_t word : card.download<uint16_t>(y, outputs)) outputsFound.push_back(inputToFloat(word, problem.input));
    }
    Error outputError;
    for (const Int4 &sequence : problem.sequences)
        for (int head = 0; head < heads; ++head) {
            const int keyHead = head / problem.group;
            const Int4 final = problem.chunks[sequence.x + sequence.y - 1];
            const int firstToken = problem.chunks[sequence.x].x, endToken = final.x + final.y;
            std::vector<double> total(tokens, 0);
            for (int c = sequence.x, before = 0; c < sequence.x + sequence.y; before = problem.chunks[c].x + problem.chunks[c].y - 1, ++c)
                for (int n = 0; n < problem.chunks[c].y; ++n) {
                    const int token = problem.chunks[c].x + n;
                    total[token] = (c > sequence.x ? total[before] : 0) + gate(gates, problem, keyHead, token);
                }
            for (int i = firstToken; i < endToken; ++i) {
                std::vector<double> sums(valueWidth + 1, 0);
                for (int j = firstToken; j <= i; ++j) {
                    double score = 0;
                    for (int n = 0; n < width; ++n)
                        score += static_cast<double>(q.numbers[(static_cast<size_t>(i) * heads + head) * width + n])
                            * k.numbers[(static_cast<size_t>(j) * keyHeads + keyHead) * width + n];
                    const double weight = std::pow(score, problem.degree) * std::exp2(total[i] - total[j]);
                    for (int n = 0; n < valueWidth; ++n)
                        sums[n] += weight * v.numbers[(static_cast<size_t>(j) * keyHeads + keyHead) * valueWidth + n];
                    sums[valueWidth] += weight;
                }
                for (int n = 0; n < valueWidth; ++n)
                    outputError.add(
                        outputsFound[(static_cast<size_t>(i) * heads + head) * valueWidth + n], sums[n] / sums[valueWidth]);
            }
        }
    return {stateError.relative(), outputError.relative()};
}
