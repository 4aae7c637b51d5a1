#include "unrolled/crf.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "crf_kernels.h"
#include "crf_log.h"
#include "parallel.h"
#include "plan.h"

namespace unrolled {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();
constexpr double kLn2 = 0.693147180559945309417;
constexpr int64_t kTokensAPart = 256;                // so that the sums of a part, and adding them up, are not what takes the time
constexpr int64_t kParts = 16;
constexpr int64_t kPartsMemory = int64_t(1) << 22;   // elements of all their sums

const CrfKernels& kernels_of(Isa isa) {
#if defined(UNROLLED_X86_KERNELS)
    if (isa == Isa::avx512) return crf_avx512();
    if (isa == Isa::avx2) return crf_avx2();
#endif
    (void)isa;
    return crf_generic();
}

int64_t tokens_of(const int64_t* lengths, int64_t batch) {
    int64_t total = 0;
    for (int64_t b = 0; b < batch; ++b) total += lengths[b];
    return total;
}

template <class T>
void widen(const T* from, int64_t count, int64_t width, double pad, double* to) {
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<double>(from[i]);
    for (int64_t i = count; i < width; ++i) to[i] = pad;
}

// What all sequences read: transitions, start and end in double, in padded rows, and as factors.
struct Chain {
    int64_t tags, width;
    double *transitions, *start, *end;     // logarithms, (tags, width) and (width,); padding is -inf
    double* into;                          // (tags, width) the transitions into each tag
    double *onward, *back, *end_factors;   // see CrfScan
    double transitions_shift = 0, end_shift = 0;
    bool factors_hold = true;              // false: some factors are too small, and all sequences need logarithms

    template <class T>
    Chain(const Crf<T>& p, Arena& arena) : tags(p.tags), width(ceil_div(p.tags, kCrfRound) * kCrfRound) {
        transitions = arena.take<double>(tags * width);
        start = arena.take<double>(width);
        end = arena.take<double>(width);
        for (int64_t a = 0; a < tags; ++a) widen(p.transitions + a * tags, tags, width, kNone, transitions + a * width);
        widen(p.start, tags, width, kNone, start);
        widen(p.end, tags, width, kNone, end);
        into = transpose(transitions, kNone, arena);
    }

    void make_factors(const CrfKernels& kernels, Arena& arena) {
        onward = arena.take<double>(tags * width);
        end_factors = arena.take<double>(width);
        std::copy(transitions, transitions + tags * width, onward);
        std::copy(end, end + width, end_factors);
        double least = 1;
        transitions_shift = *std::max_element(onward, onward + tags * width);
        if (transitions_shift == kNone) transitions_shift = 0;
        kernels.exponentials_from(onward, tags, width, transitions_shift, &least);
        end_shift = *std::max_element(end, end + width);
        if (end_shift == kNone) end_shift = 0;
        kernels.exponentials_from(end_factors, 1, width, end_shift, &least);
        back = transpose(onward, 0.0, arena);
        factors_hold = least >= kCrfLeast;
    }

    double* transpose(const double* from, double pad, Arena& arena) const {
        double* to = arena.take<double>(tags * width);
        std::fill(to, to + tags * width, pad);
        for (int64_t a = 0; a < tags; ++a)
            for (int64_t b = 0; b < tags; ++b) to[b * width + a] = from[a * width + b];
        return to;
    }

    // The scores of a sequence, start in the first row.
    template <class T>
    void read(const T* scores, int64_t steps, double* to) const {
        for (int64_t t = 0; t < steps; ++t) widen(scores + t * tags, tags, width, kNone, to + t * width);
        for (int64_t b = 0; b < tags; ++b) to[b] += start[b];
    }

    template <class T>
    double score(const T* scores, const int32_t* path, int64_t steps) const {
        double sum = start[path[0]] + end[path[steps - 1]];
        for (int64_t t = 0; t < steps; ++t) sum += static_cast<double>(scores[t * tags + path[t]]);
        for (int64_t t = 1; t < steps; ++t) sum += transitions[path[t - 1] * width + path[t]];
        return sum;
    }
};

// Sums over the sequences that one task does, in their order.
struct Sums {
    double* pairs;       // (width, width) still to be multiplied by the factors of the transitions
    double* transitions; // (tags, width)
    double* start;       // (width,)
    double* end;

    Sums(const Chain& chain, Arena& arena) {
        const int64_t squares = chain.width * chain.width;
        pairs = arena.take<double>(2 * squares + 2 * chain.width);
        transitions = pairs + squares;
        start = transitions + squares;
        end = start + chain.width;
        std::fill(pairs, end + chain.width, 0.0);
    }
};

// Memory of one task for its longest sequence.
struct Scratch {
    double *emission, *alpha, *posterior, *rows;
    Scratch(int64_t steps, const Chain& chain, Arena& arena) {
        const int64_t width = chain.width;
        emission = arena.take<double>((3 * steps + chain.tags + 4) * width);
        alpha = emission + steps * width;
        posterior = alpha + steps * width;
        rows = posterior + steps * width;
    }
};

// Runs f(sequence, first token, length, scratch, part number) for the sequences that are not empty.
template <class F>
void over_sequences(const Plan& plan, const Chain& chain, int threads, double cost, Arena& arena, F&& f) {
    const int parts = static_cast<int>(plan.groups.size());
    std::vector<Scratch> scratch;
    for (const Group& group : plan.groups) scratch.emplace_back(group.rows ? group.length[0] : 0, chain, arena);
    parallel_for(parts, useful_threads(threads, cost), [&](int part) {
        const Group& group = plan.groups[static_cast<size_t>(part)];
        for (int64_t i = 0; i < group.rows; ++i)
            f(group.sequence[i], group.first[0][i], group.length[i], scratch[static_cast<size_t>(part)], part);
    });
}

double scan_cost(int64_t tokens, int64_t tags) { return static_cast<double>(tokens) * static_cast<double>(tags * (6 * tags + 80)); }

// log Z of one sequence; unless that is -inf, scratch.posterior receives the probabilities of its tags times weight, and sums
// (may be null) those of its pairs.
template <class T>
double posterior_of(const Chain& chain, const CrfKernels& kernels, const T* scores, int64_t steps, double weight,
                    const Scratch& scratch, Sums* sums) {
    if (chain.factors_hold) {
        CrfScan scan{steps,      chain.tags,       chain.width,   chain.onward,      chain.back,
                     chain.end_factors, scratch.emission, scratch.alpha, scratch.posterior, scratch.rows};
        chain.read(scores, steps, scratch.emission);
        const double shift = kernels.exponentials(scratch.emission, steps, chain.width, nullptr, &scan.least);
        kernels.forward(scan);
        // Written so that NaN takes the other way.
        if (scan.least >= kCrfLeast && scan.total >= kCrfLeast) {
            kernels.backward(scan, weight);
            if (scan.least >= kCrfLeast) {
                if (sums) kernels.pairs(scan, sums->pairs);
                return std::log(scan.total) + static_cast<double>(scan.exponent) * kLn2 + shift +
                       static_cast<double>(steps - 1) * chain.transitions_shift + chain.end_shift;
            }
        }
    }
    chain.read(scores, steps, scratch.emission);
    const CrfLogScan scan{kernels,   steps,            chain.tags,    chain.width,       chain.transitions, chain.into,
                          chain.end, scratch.emission, scratch.alpha, scratch.posterior, scratch.rows};
    const double log_z = scan.forward();
    if (log_z != kNone) scan.backward(log_z, weight, sums ? sums->transitions : nullptr);
    return log_z;
}

}  // namespace

template <class T>
void crf_loss(const Crf<T>& p, const CrfLoss<T>& loss, int threads, Isa isa) {
    Arena arena;
    const CrfKernels& kernels = kernels_of(isa);
    const int64_t tags = p.tags, total = tokens_of(p.lengths, p.batch);
    Chain chain(p, arena);
    chain.make_factors(kernels, arena);
    const int64_t width = chain.width;
    const int64_t most = std::max<int64_t>(1, std::min(kParts, kPartsMemory / (2 * width * width)));
    const int64_t parts = std::max<int64_t>(1, std::min(most, total / kTokensAPart));  // the same for any number of threads
    const Plan plan(p.lengths, p.batch, static_cast<int>(parts), arena);
    std::vector<Sums> sums;
    for (size_t k = 0; k < plan.groups.size(); ++k) sums.emplace_back(chain, arena);
    std::fill(loss.losses, loss.losses + p.batch, T(0));

    const auto run = [&](int64_t sequence, int64_t first, int64_t steps, const Scratch& scratch, int part) {
        Sums& own = sums[static_cast<size_t>(part)];
        const T* scores = p.scores + first * tags;
        T* gradient = loss.d_scores + first * tags;
        const int32_t* targets = loss.targets + first;
        const double weight = loss.weights ? static_cast<double>(loss.weights[sequence]) : 1.0;
        const double gold = chain.score(scores, targets, steps);
        const double log_z = gold == kNone ? kNone : posterior_of(chain, kernels, scores, steps, weight, scratch, &own);
        if (log_z == kNone) {
            loss.losses[sequence] = std::numeric_limits<T>::infinity();
            std::fill(gradient, gradient + steps * tags, T(0));
            return;
        }
        loss.losses[sequence] = static_cast<T>(log_z - gold);
        double* posterior = scratch.posterior;
        for (int64_t t = 0; t < steps; ++t, posterior += width, gradient += tags) {
            posterior[targets[t]] -= weight;
            for (int64_t b = 0; b < tags; ++b) gradient[b] = static_cast<T>(posterior[b]);
            if (t > 0) own.transitions[targets[t - 1] * width + targets[t]] -= weight;
        }
        posterior -= width;
        for (int64_t b = 0; b < tags; ++b) own.start[b] += scratch.posterior[b];
        for (int64_t b = 0; b < tags; ++b) own.end[b] += posterior[b];
    };
    over_sequences(plan, chain, threads, scan_cost(total, tags), arena, run);

    for (int64_t a = 0; a < tags; ++a) {
        double start = 0, end = 0;
        for (const Sums& part : sums) {
            start += part.start[a];
            end += part.end[a];
        }
        loss.d_start[a] = static_cast<T>(start);
        loss.d_end[a] = static_cast<T>(end);
        for (int64_t b = 0; b < tags; ++b) {
            const int64_t at = a * width + b;
            double pairs = 0, sum = 0;
            for (const Sums& part : sums) {
                pairs += part.pairs[at];
                sum += part.transitions[at];
            }
            if (chain.onward[at] > 0) sum += pairs * chain.onward[at];
            loss.d_transitions[a * tags + b] = static_cast<T>(sum);
        }
    }
}

template <class T>
int64_t crf_marginals(const Crf<T>& p, T* marginals, int threads, Isa isa) {
    Arena arena;
    const CrfKernels& kernels = kernels_of(isa);
    const int64_t tags = p.tags, total = tokens_of(p.lengths, p.batch);
    Chain chain(p, arena);
    chain.make_factors(kernels, arena);
    const Plan plan(p.lengths, p.batch, threads, arena);
    std::vector<int64_t> impossible(plan.groups.size(), p.batch);
    over_sequences(plan, chain, threads, scan_cost(total, tags), arena,
                   [&](int64_t sequence, int64_t first, int64_t steps, const Scratch& scratch, int part) {
        T* to = marginals + first * tags;
        const double log_z = posterior_of(chain, kernels, p.scores + first * tags, steps, 1.0, scratch, nullptr);
        if (log_z == kNone) {
            int64_t& found = impossible[static_cast<size_t>(part)];
            found = std::min(found, sequence);
            std::fill(to, to + steps * tags, T(0));
            return;
        }
        for (int64_t t = 0; t < steps; ++t, to += tags)
            for (int64_t b = 0; b < tags; ++b) to[b] = static_cast<T>(scratch.posterior[t * chain.width + b]);
    });
    const int64_t first = *std::min_element(impossible.begin(), impossible.end());
    return first == p.batch ? -1 : first;
}

template <class T>
void crf_decode(const Crf<T>& p, int32_t* decoded, T* best, int threads, Isa isa) {
    Arena arena;
    const CrfKernels& kernels = kernels_of(isa);
    const int64_t tags = p.tags, total = tokens_of(p.lengths, p.batch);
    const Chain chain(p, arena);
    const int64_t width = chain.width;
    std::fill(best, best + p.batch, T(0));
    const Plan plan(p.lengths, p.batch, threads, arena);
    over_sequences(plan, chain, threads, scan_cost(total, tags) / 2, arena,
                   [&](int64_t sequence, int64_t first, int64_t steps, const Scratch& scratch, int) {
        double* const scores = scratch.emission;
        chain.read(p.scores + first * tags, steps, scores);
        kernels.best(scores, chain.transitions, steps, tags, width);
        const double* weights = chain.end;
        double most = kNone;
        for (int64_t t = steps - 1; t >= 0; --t) {
            const double* row = scores + t * width;
            int64_t tag = 0;
            double found = row[0] + weights[0];
            for (int64_t a = 1; a < tags; ++a) {
                const double value = row[a] + weights[a];
                if (value > found) {
                    found = value;
                    tag = a;
                }
            }
            if (t == steps - 1) most = found;
            decoded[first + t] = static_cast<int32_t>(tag);
            weights = chain.into + tag * width;
        }
        best[sequence] = static_cast<T>(most);
    });
}

#define UNROLLED_CRF(T)                                                        \
    template void crf_loss<T>(const Crf<T>&, const CrfLoss<T>&, int, Isa);     \
    template int64_t crf_marginals<T>(const Crf<T>&, T*, int, Isa);            \
    template void crf_decode<T>(const Crf<T>&, int32_t*, T*, int, Isa);
UNROLLED_CRF(float)
UNROLLED_CRF(double)
#undef UNROLLED_CRF

}  // namespace unrolled
