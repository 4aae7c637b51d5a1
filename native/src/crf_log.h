// The forward-backward algorithm with logarithms (Rabiner 1989, section V.A): slower, but no probability is too small for it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "crf_kernels.h"

namespace unrolled {

// One sequence of at least one step; rows of `width` elements, -inf from `tags` on.
struct CrfLogScan {
    const CrfKernels& kernels;
    int64_t steps, tags, width;
    const double* transitions;  // (tags, width)
    const double* into;         // (tags, width) its transpose
    const double* end;          // (width,)
    const double* scores;       // (steps, width), start in the first row
    double* alpha;              // (steps, width)
    double* posterior;          // (steps, width)
    double* scratch;            // (tags + 4, width)

    // Writes alpha; returns log Z.
    double forward() const {
        std::copy(scores, scores + width, alpha);
        for (int64_t t = 1; t < steps; ++t) {
            double* now = alpha + t * width;
            std::copy(scores + t * width, scores + (t + 1) * width, now);
            log_sums(into, now - width, scratch + width);
            for (int64_t b = 0; b < tags; ++b) now[b] += scratch[width + b];
        }
        double *row = table(), log_z;
        for (int64_t b = 0; b < width; ++b) row[b] = alpha[(steps - 1) * width + b] + end[b];
        log_sums_of(1, &log_z);
        return log_z;
    }

    // After it, if log_z is not -inf: the posterior of each tag, and that of each pair of neighbours added to pairs
    // (tags, width), both times weight. pairs may be null.
    void backward(double log_z, double weight, double* pairs) const {
        double *beta = scratch + width, *onward = scratch + 2 * width;
        std::copy(end, end + width, beta);
        for (int64_t t = steps - 1;; --t) {
            const double *now = alpha + t * width, *before = now - width;
            for (int64_t b = 0; b < tags; ++b) posterior[t * width + b] = weight * std::exp(now[b] + beta[b] - log_z);
            if (t == 0) break;
            for (int64_t b = 0; b < width; ++b) onward[b] = scores[t * width + b] + beta[b];
            log_sums(transitions, onward, beta);
            for (int64_t a = 0; pairs && a < tags; ++a) {
                const double *row = table() + a * width, factor = weight * std::exp(before[a] + largest()[a] - log_z);
                for (int64_t b = 0; b < tags; ++b) pairs[a * width + b] += factor * row[b];
            }
        }
    }

private:
    double* largest() const { return scratch; }
    double* table() const { return scratch + 4 * width; }

    // out[i] = log sum over j of exp(m[i, j] + x[j]). The table keeps the terms, each row divided by exp(largest).
    void log_sums(const double* m, const double* x, double* out) const {
        for (int64_t i = 0; i < tags; ++i)
            for (int64_t j = 0; j < width; ++j) table()[i * width + j] = m[i * width + j] + x[j];
        log_sums_of(tags, out);
    }

    void log_sums_of(int64_t rows, double* out) const {
        double least = 1;
        kernels.exponentials(table(), rows, width, largest(), &least);
        for (int64_t i = 0; i < rows; ++i) {
            double sum = 0;
            for (int64_t j = 0; j < width; ++j) sum += table()[i * width + j];
            out[i] = largest()[i] + std::log(sum);
        }
    }
};

}  // namespace unrolled
