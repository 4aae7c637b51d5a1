// Word vectors: CBOW and skip-gram with negative sampling or hierarchical softmax, whole words or bags of sub-words.
//
// Definitions, each cited again where it is computed:
//   [M13a] Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space" (CBOW, skip-gram, window)
//   [M13b] Mikolov et al. 2013, "Distributed Representations of Words and Phrases" (negative sampling, subsampling)
//   [B17]  Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information" (bags of n-grams)
//   [J16]  Ji et al. 2016, "Parallelizing Word2Vec in Shared and Distributed Memory" (negatives shared by a window)
//
// Corpus. `tokens` holds the ids of all sentences, each ended by -1. A chunk is `chunk` neighbouring entries; a sentence
// belongs to the chunk in which it begins. Random numbers depend on seed, epoch and chunk alone.
//
// Tables. Rows of `stride` floats, a multiple of 8; columns from dim on are zero and stay so. Memory belongs to the caller.
#pragma once

#include <cstdint>

#include "unrolled/engine.h"

namespace unrolled {

struct Word2vec {
    const int32_t* tokens = nullptr;       // (count,) ids below `words`, or -1 at the end of a sentence
    int64_t count = 0;
    int64_t chunk = 512;
    const int32_t* order = nullptr;        // (chunks,) the chunks in the order in which an epoch visits them
    int64_t chunks = 0;

    int64_t words = 0;
    int64_t stride = 0;
    float* input = nullptr;                // (input_rows, stride) what is learnt
    float* output = nullptr;               // (output_rows, stride) one row a word, or one an inner node of the tree

    bool cbow = false;                     // predict a word from its neighbours; else each neighbour from the word
    int window = 5;                        // largest distance of a neighbour, >= 1
    int negative = 5;                      // negatives a prediction, 0 to 64; 0: hierarchical softmax
    int run = 4;                           // windows of a sentence that a lane trains in a round, see word2vec_train
    int share = 16;                        // skip-gram: neighbours that share one draw of negatives, 1 to 16

    const uint32_t* keep = nullptr;        // (words,) a token is kept if 32 random bits are <= keep[word]
    const uint32_t* threshold = nullptr;   // (words,) alias table of the noise distribution: draw a word i and 32 bits r;
    const int32_t* alias = nullptr;        // (words,) r < threshold[i] gives i, else alias[i]. Null if negative is 0
    const int64_t* path_starts = nullptr;  // (words + 1,) hierarchical softmax: inner nodes from the root, and the label
    const int32_t* path_nodes = nullptr;   // of each (1 for the left branch). Null if negative > 0
    const uint8_t* path_labels = nullptr;
    const int64_t* bag_starts = nullptr;   // (words + 1,) rows of `input` whose mean is a word's vector; null: row = id
    const int32_t* bag_rows = nullptr;

    uint64_t seed = 0;
    double rate_first = 0.025;             // learning rate, falling in a straight line with the tokens done
    double rate_last = 0.0001;
    int64_t epochs = 1;
};

// What a call did: windows trained, and the loss (nats a prediction) summed over `losses` of them.
struct Word2vecReport {
    int64_t windows = 0;
    int64_t losses = 0;
    double loss = 0;
};

// Train the sentences of the chunks order[first .. last) of an epoch on up to `threads` threads.
//
// lanes = 0: every thread updates the tables as it goes, without locks (Recht et al. 2011, "Hogwild"); with more than one
// thread the result differs from run to run.
// lanes > 0: that many places of the chunks advance side by side, up to `run` windows each a round; gradients of a round
// are taken at the tables as they were before it and added in the order of the lanes. The result does not depend on
// `threads`.
//
// Throws std::bad_alloc, std::system_error (no thread can be started).
Word2vecReport word2vec_train(const Word2vec& model, int64_t epoch, int64_t first, int64_t last, int threads, int lanes,
                              Isa isa);

// One update of the model on given pairs, for tests: inputs (rows,) predict outputs (count,) with labels (count,) of 0 or 1.
void word2vec_step(float* input, float* output, int64_t stride, const int32_t* inputs, int rows, const int32_t* outputs,
                   const uint8_t* labels, int count, float rate, Isa isa);

}  // namespace unrolled
