// What an instruction set must provide for word vectors: the arithmetic of one group of predictions.
#pragma once

#include <cstdint>

#include "unrolled/engine.h"

namespace unrolled {

constexpr int kGroupRows = 16;     // input vectors of a group, at most
constexpr int kGroupOutputs = 6;   // outputs of a group, at most: as many as registers can hold twice

// Every one of `rows` input vectors x predicts every one of `count` outputs w. With s = x[c] . w[k] and
// g = rate * (label[k] - sigmoid(s)), the gradient of the log-likelihood times the learning rate:
//     to_x[c] += sum over k of g w[k],   to_w[k] += sum over c of g x[c].
// to_x may be x and to_w may be w (update in place); x may repeat a row, w must not. With fresh_x or fresh_w the targets
// hold nothing yet and are written instead of added to.
struct Word2vecGroup {
    int rows, count;
    int64_t stride;
    float rate;
    bool fresh_x, fresh_w;
    const float* x[kGroupRows];
    float* to_x[kGroupRows];
    const float* w[kGroupOutputs];
    float* to_w[kGroupOutputs];
    uint8_t label[kGroupOutputs];
    float g[kGroupRows * kGroupOutputs + 16];  // (rows, count) on return
};

struct Word2vecKernels {
    void (*learn)(Word2vecGroup&);
    void (*add)(float* to, const float* from, int64_t stride);                  // to += from
    // out = scale * sum of table[rows[i]]
    void (*mean)(float* out, const float* table, const int32_t* rows, int64_t count, float scale, int64_t stride);
};

const Word2vecKernels& word2vec_generic();
#if defined(UNROLLED_X86_KERNELS)
const Word2vecKernels& word2vec_avx2();
const Word2vecKernels& word2vec_avx512();
#endif

}  // namespace unrolled
