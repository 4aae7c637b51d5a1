// Self-contained test of word vectors for sanitizer builds: every kind of training on every instruction set, over arrays of
// exact size, so that the address sanitizer sees each element read or written outside. Lanes must give the same tables
// on any number of threads.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "unrolled/word2vec.h"

using namespace unrolled;

namespace {

int failures = 0;

void expect(bool good, const char* what, int kind, int isa) {
    if (good) return;
    ++failures;
    std::printf("FAILED %s: kind %d, instruction set %d\n", what, kind, isa);
}

struct Problem {
    static constexpr int64_t words = 9, stride = 24;
    std::vector<int32_t> tokens, order, alias, nodes, bag_rows;
    std::vector<uint32_t> keep, threshold;
    std::vector<int64_t> paths, bags;
    std::vector<uint8_t> labels;
    std::vector<float> input, output;
    Word2vec model;

    explicit Problem(int kind) : input(words * stride), output(words * stride) {
        unsigned state = 7;
        const auto next = [&](unsigned below) { return (state = state * 1664525u + 1013904223u) / 65536u % below; };
        for (int sentence = 0; sentence < 60; ++sentence) {
            const unsigned length = sentence == 5 ? 1500 : next(14);  // one is longer than the reader keeps
            for (unsigned i = 0; i < length; ++i) tokens.push_back(static_cast<int32_t>(next(words)));
            tokens.push_back(-1);
        }
        for (float& value : input) value = static_cast<float>(next(1000)) / 1000.0f - 0.5f;
        keep.assign(words, 3000000000u);
        threshold.assign(words, 2000000000u);
        for (int32_t i = 0; i < words; ++i) alias.push_back(static_cast<int32_t>(words) - 1 - i);
        paths.push_back(0);
        bags.push_back(0);
        for (int64_t word = 0; word < words; ++word) {
            for (int64_t i = 0; i <= word; ++i) {  // up to 9 nodes: more than one group
                nodes.push_back(static_cast<int32_t>(i));
                labels.push_back(static_cast<uint8_t>(i & 1));
            }
            paths.push_back(static_cast<int64_t>(nodes.size()));
            for (int64_t i = 0; i <= word % 3; ++i) bag_rows.push_back(static_cast<int32_t>((word + 4 * i) % words));
            bags.push_back(static_cast<int64_t>(bag_rows.size()));
        }
        model.tokens = tokens.data();
        model.count = static_cast<int64_t>(tokens.size());
        model.chunk = 50;
        model.chunks = (model.count + model.chunk - 1) / model.chunk;
        for (int64_t chunk = model.chunks; chunk-- > 0;) order.push_back(static_cast<int32_t>(chunk));
        model.order = order.data();
        model.words = words;
        model.stride = stride;
        model.input = input.data();
        model.output = output.data();
        model.keep = keep.data();
        model.seed = 5;
        model.rate_first = model.rate_last = 0.01;
        model.cbow = kind & 1;
        model.window = kind & 8 ? 12 : 3;
        model.share = kind & 8 ? 16 : 2;
        model.run = kind & 8 ? 4 : 1;
        if (kind & 2) {
            model.negative = 0;
            model.path_starts = paths.data();
            model.path_nodes = nodes.data();
            model.path_labels = labels.data();
        } else {
            model.negative = kind & 8 ? 20 : 5;  // more than the vocabulary has
            model.threshold = threshold.data();
            model.alias = alias.data();
        }
        if (kind & 4) {
            model.bag_starts = bags.data();
            model.bag_rows = bag_rows.data();
        }
    }
};

void check(int kind, Isa isa) {
    const int number = static_cast<int>(isa);
    Problem one(kind), several(kind), free(kind);
    const Word2vecReport first = word2vec_train(one.model, 0, 0, one.model.chunks, 1, 24, isa);
    const Word2vecReport second = word2vec_train(several.model, 0, 0, several.model.chunks, 3, 24, isa);
    expect(first.windows > 400 && first.losses > 0 && std::isfinite(first.loss), "report", kind, number);
    expect(first.windows == second.windows && first.loss == second.loss, "report of threads", kind, number);
    const size_t bytes = one.input.size() * sizeof(float);
    expect(!std::memcmp(one.input.data(), several.input.data(), bytes), "input of threads", kind, number);
    expect(!std::memcmp(one.output.data(), several.output.data(), bytes), "output of threads", kind, number);
    const Word2vecReport third = word2vec_train(free.model, 0, 0, free.model.chunks, 1, 0, isa);
    expect(third.windows == first.windows, "windows without lanes", kind, number);
    for (const float value : free.input) expect(std::isfinite(value), "finite", kind, number);
}

}  // namespace

int main() {
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
        for (int kind = 0; kind < 16; ++kind)
            if (isa_supported(isa)) check(kind, isa);
    std::printf(failures ? "%d failures\n" : "all passed\n", failures);
    return failures ? 1 : 0;
}
