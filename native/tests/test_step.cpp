// Self-contained test of what a training step does beside the recurrent layers, meant for sanitizer builds like
// test_engine.cpp: arrays of exact size, odd widths, empty sequences, several threads; values against plain loops.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "unrolled/step.h"

using namespace unrolled;

namespace {

int failures = 0;
unsigned seed = 1;

double uniform() {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) / 8388608.0 - 1.0;
}

template <class T>
std::vector<T> random_values(int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T& value : values) value = static_cast<T>(uniform());
    return values;
}

template <class T>
void expect(double error, const char* what, int64_t width) {
    if (error < (sizeof(T) == 4 ? 2e-5 : 1e-12)) return;
    ++failures;
    std::printf("FAILED %s: width %lld, error %g\n", what, static_cast<long long>(width), error);
}

template <class T>
void check_pool(const std::vector<int64_t>& lengths, int64_t width, Isa isa) {
    const int64_t batch = static_cast<int64_t>(lengths.size());
    int64_t total = 0;
    for (int64_t length : lengths) total += length;
    const std::vector<T> values = random_values<T>(total * width), upstream = random_values<T>(batch * 2 * width);
    std::vector<T> out(static_cast<size_t>(batch * 2 * width)), d_values(values.size());
    std::vector<int32_t> where(static_cast<size_t>(batch * width));
    Pool<T> p;
    p.batch = batch;
    p.width = width;
    p.lengths = lengths.data();
    p.values = values.data();
    p.mean = out.data();
    p.largest = out.data() + width;
    p.out_stride = 2 * width;
    p.where = where.data();
    pool(p, 3, isa);
    PoolGradient<T> g;
    g.batch = batch;
    g.width = width;
    g.lengths = lengths.data();
    g.d_mean = upstream.data();
    g.d_largest = upstream.data() + width;
    g.d_stride = 2 * width;
    g.where = where.data();
    g.d_values = d_values.data();
    pool_gradient(g, 3, isa);
    double error = 0;
    int64_t first = 0;
    for (int64_t b = 0; b < batch; first += lengths[b++]) {
        for (int64_t u = 0; u < width; ++u) {
            double sum = 0, largest = 0;
            for (int64_t t = 0; t < lengths[b]; ++t) {
                const double value = values[(first + t) * width + u];
                sum += value;
                largest = t == 0 ? value : std::max(largest, value);
                const double hit = where[b * width + u] == t ? upstream[b * 2 * width + width + u] : T(0);
                const double wanted = upstream[b * 2 * width + u] / static_cast<double>(lengths[b]) + hit;
                error = std::max(error, std::fabs(d_values[(first + t) * width + u] - wanted));
            }
            error = std::max(error, std::fabs(out[b * 2 * width + u] - sum / static_cast<double>(std::max<int64_t>(lengths[b], 1))));
            error = std::max(error, std::fabs(out[b * 2 * width + width + u] - largest));
        }
    }
    expect<T>(error, "pool", width);

    const std::vector<T> by_sequence = random_values<T>(batch * width), by_token = random_values<T>(total);
    scale_rows(values.data(), lengths.data(), by_sequence.data(), by_token.data(), d_values.data(), batch, width, 3, isa);
    error = 0;
    first = 0;
    for (int64_t b = 0; b < batch; first += lengths[b++])
        for (int64_t k = first; k < first + lengths[b]; ++k)
            for (int64_t u = 0; u < width; ++u)
                error = std::max<double>(error, std::fabs(d_values[k * width + u] - values[k * width + u] * by_sequence[b * width + u] * by_token[k]));
    expect<T>(error, "scale_rows", width);
}

template <class T>
void check_bag(int64_t tokens, int64_t entries, int64_t dim, Isa isa) {
    std::vector<int64_t> lengths(static_cast<size_t>(tokens));
    int64_t total = 0;
    for (int64_t k = 0; k < tokens; ++k) total += lengths[k] = k % 4;
    std::vector<int32_t> rows(static_cast<size_t>(total));
    for (int32_t& row : rows) row = static_cast<int32_t>((uniform() + 1) / 2 * static_cast<double>(entries - 1));
    const std::vector<T> table = random_values<T>(entries * dim), weights = random_values<T>(total), up = random_values<T>(tokens * dim);
    std::vector<T> out(static_cast<size_t>(tokens * dim)), gradient(table.size());
    weighted_bag(table.data(), rows.data(), weights.data(), lengths.data(), out.data(), tokens, dim, 3, isa);
    bag_gradient(up.data(), rows.data(), weights.data(), lengths.data(), gradient.data(), tokens, entries, dim, 3, isa);
    std::vector<double> sums(out.size()), gradients(gradient.size());
    for (int64_t k = 0, i = 0; k < tokens; ++k)
        for (int64_t n = 0; n < lengths[k]; ++n, ++i)
            for (int64_t u = 0; u < dim; ++u) {
                sums[k * dim + u] += static_cast<double>(weights[i]) * table[rows[i] * dim + u];
                gradients[rows[i] * dim + u] += static_cast<double>(weights[i]) * up[k * dim + u];
            }
    double error = 0;
    for (size_t i = 0; i < sums.size(); ++i) error = std::max(error, std::fabs(out[i] - sums[i]));
    for (size_t i = 0; i < gradients.size(); ++i) error = std::max(error, std::fabs(gradient[i] - gradients[i]));
    expect<T>(error, "bag", dim);

    std::vector<int32_t> touched(static_cast<size_t>(std::min(total, entries))), numbers(rows.size());
    const int64_t found = number_rows(rows.data(), total, entries, touched.data(), numbers.data());
    std::vector<int32_t> distinct = rows;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    touched.resize(static_cast<size_t>(found));
    bool good = touched == distinct;
    for (size_t i = 0; good && i < rows.size(); ++i) good = touched[static_cast<size_t>(numbers[i])] == rows[i];
    expect<T>(good ? 0 : 1, "number_rows", entries);

    std::vector<T> w = table, m(table.size()), v(table.size());
    const std::vector<T> step = random_values<T>(found * dim);
    const Adam<T> rule{T(0.5), T(0.1), T(0.99), T(0.01), T(1e-6), T(0.01), T(1)};
    adam_rows(rule, w.data(), m.data(), v.data(), touched.data(), step.data(), found, dim, 3, isa);
    error = 0;
    for (int64_t k = 0; k < found; ++k)
        for (int64_t u = 0; u < dim; ++u) {
            const double g = 0.5 * step[k * dim + u];
            const double wanted = table[touched[k] * dim + u] - 0.01 * 0.1 * g / (std::sqrt(0.01 * g * g) + 1e-6);
            error = std::max(error, std::fabs(w[touched[k] * dim + u] - wanted));
        }
    expect<T>(error, "adam_rows", dim);
    adam(rule, w.data(), m.data(), v.data(), gradient.data(), static_cast<int64_t>(w.size()), 3, isa);

    double sum = 0;
    for (T value : gradient) sum += static_cast<double>(value) * value;
    expect<T>(std::fabs(square_sum(gradient.data(), static_cast<int64_t>(gradient.size()), 3, isa) / std::max(sum, 1e-9) - (sum > 0)), "square_sum", dim);

    std::vector<T> mask(static_cast<size_t>(entries * dim + 1));
    random_mask(mask.data(), static_cast<int64_t>(mask.size()), 0.25, T(2), 77, 3, isa);
    int64_t dropped = 0;
    for (T value : mask) dropped += value == T(0);
    const double share = static_cast<double>(dropped) / static_cast<double>(mask.size());
    expect<T>(mask.size() > 2000 && std::fabs(share - 0.25) > 0.05 ? share : 0, "random_mask", dim);
}

template <class T>
void check_all(Isa isa) {
    for (int64_t width : {1, 5, 16, 71})
        for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{}, {0}, {1}, {3, 0, 5, 1, 700, 4, 0}}) check_pool<T>(lengths, width, isa);
    for (int64_t dim : {1, 7, 64})
        for (int64_t tokens : {0, 1, 2, 900}) check_bag<T>(tokens, 130, dim, isa);
}

}  // namespace

int main() {
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
        if (isa_supported(isa)) check_all<float>(isa);
    check_all<double>(Isa::generic);
    std::printf(failures ? "%d failures\n" : "all passed\n", failures);
    return failures ? 1 : 0;
}
