// The forward-backward algorithm with logarithms (Rabiner 1989, section V.A): slow, but no probability is too small for it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace unrolled {

inline double log_sum_exp(const double* x, int64_t count) {
    constexpr double none = -std::numeric_limits<double>::infinity();
    double most = none;
    for (int64_t i = 0; i < count; ++i) most = x[i] > most || std::isnan(x[i]) ? x[i] : most;
    if (most == none) return none;
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += std::exp(x[i] - most);
    return most + std::log(sum);
}

// One sequence of at least one step; rows of `width` elements.
struct CrfLogScan {
    int64_t steps, tags, width;
    const double* transitions;  // (tags, width)
    const double* end;          // (tags,)
    const double* scores;       // (steps, width), start in the first row
    double* alpha;              // (steps, width)
    double* posterior;          // (steps, width)
    double* scratch;            // (3, width)

    // Writes alpha; returns log Z.
    double forward() const {
        std::copy(scores, scores + tags, alpha);
        for (int64_t t = 1; t < steps; ++t) {
            const double *before = alpha + (t - 1) * width, *score = scores + t * width;
            for (int64_t b = 0; b < tags; ++b) {
                for (int64_t a = 0; a < tags; ++a) scratch[a] = before[a] + transitions[a * width + b];
                alpha[t * width + b] = score[b] + log_sum_exp(scratch, tags);
            }
        }
        for (int64_t a = 0; a < tags; ++a) scratch[a] = alpha[(steps - 1) * width + a] + end[a];
        return log_sum_exp(scratch, tags);
    }

    // After it, if log_z is not -inf: the posterior of each tag, and that of each pair of neighbours added to pairs
    // (tags, width), both times weight. pairs may be null.
    void backward(double log_z, double weight, double* pairs) const {
        double *beta = scratch + width, *onward = scratch + 2 * width;
        std::copy(end, end + tags, beta);
        for (int64_t t = steps - 1;; --t) {
            for (int64_t b = 0; b < tags; ++b) posterior[t * width + b] = weight * std::exp(alpha[t * width + b] + beta[b] - log_z);
            if (t == 0) break;
            for (int64_t b = 0; b < tags; ++b) onward[b] = scores[t * width + b] + beta[b];
            const double* before = alpha + (t - 1) * width;
            for (int64_t a = 0; a < tags; ++a) {
                const double* row = transitions + a * width;
                for (int64_t b = 0; b < tags; ++b) scratch[b] = row[b] + onward[b];
                beta[a] = log_sum_exp(scratch, tags);
                if (!pairs) continue;
                for (int64_t b = 0; b < tags; ++b) pairs[a * width + b] += weight * std::exp(before[a] + scratch[b] - log_z);
            }
        }
    }
};

}  // namespace unrolled
