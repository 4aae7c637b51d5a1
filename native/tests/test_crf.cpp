// Self-contained test of the CRF for sanitizer builds: arrays of exact size, so that the address sanitizer sees each element
// read or written outside, and answers by going through all paths of tags.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "unrolled/crf.h"

using namespace unrolled;

namespace {

int failures = 0;

template <class T>
void expect(double error, const char* what, int64_t tags, double size) {
    if (error < (sizeof(T) == 4 ? 1e-5 : 1e-11)) return;
    ++failures;
    std::printf("FAILED %s: error %g, %d bytes, %d tags, scores of size %g\n", what, error, static_cast<int>(sizeof(T)),
                static_cast<int>(tags), size);
}

unsigned state = 3;
double uniform() { return static_cast<double>((state = state * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1; }

template <class T>
std::vector<T> random_values(int64_t count, double size) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T& value : values) value = static_cast<T>(size * uniform());
    return values;
}

template <class T>
struct Problem {
    std::vector<int64_t> lengths;
    std::vector<T> scores, transitions, start, end;
    std::vector<int32_t> targets;
    Crf<T> chain;

    // What `forbid` has forbidden, no target uses: they all have tag 0, which may do everything.
    Problem(std::vector<int64_t> of, int64_t tags, double size, bool forbid) : lengths(std::move(of)) {
        int64_t total = 0;
        for (int64_t length : lengths) total += length;
        scores = random_values<T>(total * tags, size);
        transitions = random_values<T>(tags * tags, size);
        start = random_values<T>(tags, size);
        end = random_values<T>(tags, size);
        targets.assign(static_cast<size_t>(total), 0);
        for (int64_t a = 1; forbid && a < tags; ++a) {
            transitions[static_cast<size_t>(a * tags + tags - a)] = -std::numeric_limits<T>::infinity();
            (a % 2 ? start : end)[static_cast<size_t>(a)] = -std::numeric_limits<T>::infinity();
        }
        chain.batch = static_cast<int64_t>(lengths.size());
        chain.tags = tags;
        chain.lengths = lengths.data();
        chain.scores = scores.data();
        chain.transitions = transitions.data();
        chain.start = start.data();
        chain.end = end.data();
    }
};

template <class T>
struct Gradients {
    std::vector<T> losses, scores, transitions, start, end;
    CrfLoss<T> loss;
    Gradients(const Problem<T>& p, const T* weights)
        : losses(p.lengths.size()), scores(p.scores.size()), transitions(p.transitions.size()), start(p.start.size()), end(p.end.size()) {
        loss.targets = p.targets.data();
        loss.weights = weights;
        loss.losses = losses.data();
        loss.d_scores = scores.data();
        loss.d_transitions = transitions.data();
        loss.d_start = start.data();
        loss.d_end = end.data();
    }
    bool operator==(const Gradients& other) const {
        return losses == other.losses && scores == other.scores && transitions == other.transitions && start == other.start && end == other.end;
    }
};

template <class T>
void check_paths(const std::vector<int64_t>& lengths, int64_t tags, double size, bool forbid, Isa isa) {
    Problem<T> p(lengths, tags, size, forbid);
    const std::vector<T> weights = random_values<T>(p.chain.batch, 1);
    Gradients<T> found(p, weights.data());
    std::vector<T> marginals(p.scores.size()), best(lengths.size());
    std::vector<int32_t> decoded(p.targets.size());
    crf_loss(p.chain, found.loss, 3, isa);
    expect<T>(crf_marginals(p.chain, marginals.data(), 3, isa) == -1 ? 0 : 1, "possible", tags, size);
    crf_decode(p.chain, decoded.data(), best.data(), 3, isa);
    std::vector<double> pairs(p.transitions.size());
    double loss_error = 0, marginal_error = 0, best_error = 0, pair_error = 0;
    int64_t first = 0;
    for (size_t s = 0; s < lengths.size(); first += lengths[s++]) {
        const int64_t n = lengths[s];
        if (n == 0) continue;
        int64_t paths = 1;
        for (int64_t t = 0; t < n; ++t) paths *= tags;
        const auto tag = [&](int64_t path, int64_t t) {
            for (; t > 0; --t) path /= tags;
            return path % tags;
        };
        std::vector<double> score(static_cast<size_t>(paths));
        double most = -1e300, z = 0;
        int64_t winner = 0;
        for (int64_t path = 0; path < paths; ++path) {
            double sum = static_cast<double>(p.start[static_cast<size_t>(tag(path, 0))]) + p.end[static_cast<size_t>(tag(path, n - 1))];
            for (int64_t t = 0; t < n; ++t) {
                sum += p.scores[static_cast<size_t>((first + t) * tags + tag(path, t))];
                if (t > 0) sum += p.transitions[static_cast<size_t>(tag(path, t - 1) * tags + tag(path, t))];
            }
            score[static_cast<size_t>(path)] = sum;
            if (sum > most) {
                most = sum;
                winner = path;
            }
        }
        for (double sum : score) z += std::exp(sum - most);
        const double log_z = most + std::log(z);
        const double scale = 1 + std::fabs(log_z);
        loss_error = std::max(loss_error, std::fabs(found.losses[s] - (log_z - score[0])) / scale);
        best_error = std::max(best_error, std::fabs(best[s] - most) / scale);
        std::vector<double> tags_of(static_cast<size_t>(n * tags));
        for (int64_t path = 0; path < paths; ++path) {
            const double probability = std::exp(score[static_cast<size_t>(path)] - log_z);
            for (int64_t t = 0; t < n; ++t) {
                tags_of[static_cast<size_t>(t * tags + tag(path, t))] += probability;
                if (t > 0) pairs[static_cast<size_t>(tag(path, t - 1) * tags + tag(path, t))] += weights[s] * probability;
            }
        }
        pairs[0] -= static_cast<double>(weights[s]) * static_cast<double>(n - 1);
        for (int64_t i = 0; i < n * tags; ++i) {
            const size_t at = static_cast<size_t>(first * tags + i);
            const double probability = tags_of[static_cast<size_t>(i)];
            marginal_error = std::max(marginal_error, std::fabs(marginals[at] - probability));
            marginal_error = std::max(marginal_error, std::fabs(found.scores[at] - weights[s] * (probability - (i % tags == 0))));
        }
        for (int64_t t = 0; t < n; ++t)
            if (decoded[static_cast<size_t>(first + t)] != tag(winner, t)) best_error = 1;
    }
    for (size_t i = 0; i < pairs.size(); ++i) pair_error = std::max(pair_error, std::fabs(found.transitions[i] - pairs[i]));
    expect<T>(loss_error, "loss", tags, size);
    expect<T>(marginal_error, "marginals", tags, size);
    expect<T>(pair_error, "pairs", tags, size);
    expect<T>(best_error, "decode", tags, size);
}

// Larger ones: the same bits on any number of threads.
template <class T>
void check_threads(int64_t tags, double size, Isa isa) {
    std::vector<int64_t> lengths;
    for (int64_t b = 0; b < 40; ++b) lengths.push_back((b * 7) % 43);
    const Problem<T> p(lengths, tags, size, true);
    Gradients<T> one(p, nullptr), several(p, nullptr);
    crf_loss(p.chain, one.loss, 1, isa);
    crf_loss(p.chain, several.loss, 4, isa);
    expect<T>(one == several ? 0 : 1, "threads", tags, size);
    for (T loss : one.losses) expect<T>(std::isfinite(loss) && loss > -1e-6 ? 0 : 1, "finite", tags, size);
}

// What cannot be: infinite losses, and nothing but zeros.
template <class T>
void check_impossible(Isa isa) {
    const T never = -std::numeric_limits<T>::infinity();
    Problem<T> p({2, 3}, 3, 1, false);
    p.transitions.assign(9, never);
    Gradients<T> found(p, nullptr);
    std::vector<T> marginals(p.scores.size(), T(7)), best(2);
    std::vector<int32_t> decoded(p.targets.size(), -1);
    crf_loss(p.chain, found.loss, 1, isa);
    bool good = found.losses[0] == -never && found.losses[1] == -never && crf_marginals(p.chain, marginals.data(), 1, isa) == 0;
    for (T value : found.scores) good = good && value == 0;
    for (T value : found.transitions) good = good && value == 0;
    for (T value : marginals) good = good && value == 0;
    crf_decode(p.chain, decoded.data(), best.data(), 1, isa);
    for (int32_t tag : decoded) good = good && tag >= 0 && tag < 3;
    expect<T>(good && best[0] == never ? 0 : 1, "impossible", 3, 1);
}

template <class T>
void check_all(Isa isa) {
    for (bool forbid : {false, true})
        for (double size : {1.0, 50.0, 900.0}) {  // the last needs logarithms
            check_paths<T>({}, 3, size, forbid, isa);
            check_paths<T>({4, 0, 1, 6, 2}, 3, size, forbid, isa);
            check_paths<T>({1, 5, 3}, 5, size, forbid, isa);
            check_paths<T>({1, 2, 1}, 41, size, forbid, isa);
            check_paths<T>({3, 1}, 1, size, forbid, isa);
            for (int64_t tags : {2, 20}) check_threads<T>(tags, size, isa);
        }
    check_threads<T>(65, 1, isa);
    check_impossible<T>(isa);
}

}  // namespace

int main() {
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
        if (isa_supported(isa)) {
            check_all<float>(isa);
            check_all<double>(isa);
        }
    std::printf(failures ? "%d failures\n" : "all passed\n", failures);
    return failures ? 1 : 0;
}
