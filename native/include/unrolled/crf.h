// Linear-chain conditional random field (Lafferty, McCallum, Pereira 2001) over a ragged batch of tag scores.
//
// Conventions as in engine.h. The score of tags y_0 .. y_{n-1} for a sequence of n words is
//     start[y_0] + sum over t of scores[t, y_t] + sum over t > 0 of transitions[y_{t-1}, y_t] + end[y_{n-1}],
// its probability is exp(score) / Z, where Z sums exp(score) over all tags^n of them (forward-backward: Rabiner 1989). The
// empty sequence has score 0 and Z = 1. -inf forbids: a tag at a word, a transition, a start or an end.
//
// All arithmetic is done in double and only results are rounded to T, so that thousands of words lose nothing. The scans
// work on probabilities; a sequence whose probabilities span more than a double can hold is done again with logarithms.
// Sequences are shared out to threads; results do not depend on their number.
#pragma once

#include <cstdint>

#include "unrolled/engine.h"

namespace unrolled {

template <class T>
struct Crf {
    int64_t batch = 0, tags = 0;         // tags >= 1
    const int64_t* lengths = nullptr;    // (batch,) 0 allowed
    const T* scores = nullptr;           // (total, tags)
    const T* transitions = nullptr;      // (tags, tags) [from, to]
    const T* start = nullptr;            // (tags,)
    const T* end = nullptr;              // (tags,)
};

// Negative log-likelihoods and the gradient of their weighted sum, all written in full. A sequence whose targets are
// forbidden has the loss inf and adds nothing to the gradients.
template <class T>
struct CrfLoss {
    const int32_t* targets = nullptr;    // (total,) each in [0, tags)
    const T* weights = nullptr;          // (batch,) of each loss in the sum; null: ones
    T* losses = nullptr;                 // (batch,) without weights
    T* d_scores = nullptr;               // (total, tags)
    T* d_transitions = nullptr;          // (tags, tags)
    T* d_start = nullptr;                // (tags,)
    T* d_end = nullptr;                  // (tags,)
};

template <class T>
void crf_loss(const Crf<T>& chain, const CrfLoss<T>& loss, int threads, Isa isa);

// Probability of each tag at each word: marginals (total, tags). Returns the first sequence for which all tags are
// forbidden, whose rows are zero, or -1.
template <class T>
int64_t crf_marginals(const Crf<T>& chain, T* marginals, int threads, Isa isa);

// The tags of the highest score, decoded (total,), and that score, best (batch,) (Viterbi 1967). Of equal ones it has the
// lowest last tag, then the lowest tag before that, and so on. Where all are forbidden the score is -inf.
template <class T>
void crf_decode(const Crf<T>& chain, int32_t* decoded, T* best, int threads, Isa isa);

}  // namespace unrolled
