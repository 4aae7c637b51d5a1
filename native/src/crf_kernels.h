// What an instruction set must provide for a linear-chain CRF: the scans over one sequence.
#pragma once

#include <cstdint>

#include "unrolled/engine.h"

namespace unrolled {

constexpr int64_t kCrfRound = 8;  // rows have a multiple of this many elements, at least one vector of any instruction set

// Below this, and above 0, a probability is too small to go on with: products of four of them must not underflow. Its
// logarithm is -172.
constexpr double kCrfLeast = 1e-75;

// One sequence of at least one step. Rows have `width` elements; those from `tags` on are zero.
//
// The forward scan keeps alpha[t] = 2^-k exp(alpha_t - shifts), with powers k so that its largest element is in [1, 2);
// the backward scan likewise beta. `exponent` sums k. Where `least`, the smallest element above zero that was met, is not
// below kCrfLeast, nothing has been lost by underflow. (A factor of at most 2 tags that the scaling takes away is nothing
// beside what four of them leave of a double's range.)
struct CrfScan {
    int64_t steps, tags, width;
    const double* onward;     // (tags, width) exp(transitions - their largest)
    const double* back;       // (tags, width) its transpose
    const double* end;        // (width,) exp(end - its largest)
    double* emission;         // (steps, width) exp(scores - the largest of the row), start in the first row
    double* alpha;            // (steps, width)
    double* posterior;        // (steps, width)
    double* beta;             // (width,) scratch

    double total = 0;         // sum of alpha[steps - 1] * end
    int64_t exponent = 0;
    double least = 1;
};

struct CrfKernels {
    // Rows of logarithms become exp(x - the largest of the row); -inf gives 0, but below -700 it is exp(-700). `largest`
    // (rows,), if not null, receives those numbers, 0 for a row of -inf. Returns their sum; `least` is lowered to the smallest
    // element above zero.
    double (*exponentials)(double* x, int64_t rows, int64_t width, double* largest, double* least);
    // The same with one given shift, not below any element.
    void (*exponentials_from)(double* x, int64_t rows, int64_t width, double shift, double* least);
    void (*forward)(CrfScan&);  // writes alpha, total, exponent
    // After it: posterior[t] = weight * probability of the tags; and weight * the probability of the pair (a, b) at t - 1, t
    // is alpha[t - 1, a] * onward[a, b] * emission[t, b].
    void (*backward)(CrfScan&, double weight);
    // pairs (width, width) += sum over t > 0 of alpha[t - 1] (outer) emission[t].
    void (*pairs)(const CrfScan&, double* pairs);
    // scores (steps, width), the first row with start, become the score of the best tags up to that word that end in each
    // tag. transitions (tags, width); elements from `tags` on are -inf in both.
    void (*best)(double* scores, const double* transitions, int64_t steps, int64_t tags, int64_t width);
};

const CrfKernels& crf_generic();
#if defined(UNROLLED_X86_KERNELS)
const CrfKernels& crf_avx2();
const CrfKernels& crf_avx512();
#endif

}  // namespace unrolled
