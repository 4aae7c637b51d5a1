// Self-contained test of the core, meant for sanitizer builds: every kernel, instruction set and border case runs over
// arrays of exact size, so that the address sanitizer sees each element read or written outside. Values are compared
// with a plain loop in double precision, gradients with finite differences.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "unrolled/engine.h"

using namespace unrolled;

namespace {

int failures = 0;
unsigned seed = 1;

double uniform() {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) / 8388608.0 - 1.0;
}

template <class T>
std::vector<T> random_values(int64_t count, double scale = 0.5) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T& value : values) value = static_cast<T>(uniform() * scale);
    return values;
}

void expect(bool good, const char* what, Kind kind, int64_t hidden, double error) {
    if (good) return;
    ++failures;
    std::printf("FAILED %s: kind %d, hidden %lld, error %g\n", what, static_cast<int>(kind), static_cast<long long>(hidden), error);
}

template <class T>
struct Problem {
    Kind kind;
    int64_t batch, total = 0, hidden, input;
    std::vector<int64_t> lengths;
    std::vector<T> x, w_ih, w_hh, b_ih, b_hh, h0, c0, mask;

    Problem(Kind k, std::vector<int64_t> l, int64_t h, int64_t i) : kind(k), hidden(h), input(i), lengths(std::move(l)) {
        batch = static_cast<int64_t>(lengths.size());
        for (int64_t length : lengths) total += length;
        const int64_t gh = gate_count(kind) * hidden;
        x = random_values<T>(total * input, 1.0);
        w_ih = random_values<T>(gh * input);
        w_hh = random_values<T>(gh * hidden, 1.0 / std::sqrt(static_cast<double>(hidden)));
        b_ih = random_values<T>(gh);
        b_hh = random_values<T>(gh);
        h0 = random_values<T>(batch * hidden);
        c0 = random_values<T>(batch * hidden);
        mask = random_values<T>(batch * hidden);
        for (T& m : mask) m = m > T(0) ? T(2) : T(0);
    }
};

template <class T>
struct Outputs {
    std::vector<T> xw, out, h_n, c_n, cells;
};

template <class T>
Outputs<T> run_forward(const Problem<T>& p, bool reverse, bool save, bool masked, int threads, Isa isa) {
    const int64_t gh = gate_count(p.kind) * p.hidden;
    Outputs<T> o;
    if (save) o.xw.resize(static_cast<size_t>(p.total * gh));
    if (save) o.cells.resize(static_cast<size_t>(p.total * p.hidden));
    o.out.resize(static_cast<size_t>(p.total * p.hidden));
    o.h_n.resize(static_cast<size_t>(p.batch * p.hidden));
    o.c_n.resize(o.h_n.size());
    Forward<T> f;
    f.kind = p.kind;
    f.reverse = reverse;
    f.batch = p.batch;
    f.total = p.total;
    f.hidden = p.hidden;
    f.input = p.input;
    f.lengths = p.lengths.data();
    f.x = p.x.data();
    f.x_stride = p.input;
    f.w_ih = p.w_ih.data();
    f.b_ih = p.b_ih.data();
    f.xw = save ? o.xw.data() : nullptr;
    f.w_hh = p.w_hh.data();
    f.b_hh = p.b_hh.data();
    f.h0 = p.h0.data();
    f.c0 = p.c0.data();
    f.h_mask = masked ? p.mask.data() : nullptr;
    f.out = o.out.data();
    f.out_stride = p.hidden;
    f.h_n = o.h_n.data();
    f.c_n = p.kind == Kind::lstm ? o.c_n.data() : nullptr;
    f.cells = save && gate_count(p.kind) > 1 ? o.cells.data() : nullptr;
    f.save = save && gate_count(p.kind) > 1;
    if (threads == 1) {
        forward(&f, 1, threads, isa);
    } else {
        const auto packed = pack_layer(&f, 1, isa);
        f.w_ih = f.w_hh = f.b_ih = f.b_hh = nullptr;
        forward(&f, 1, threads, isa, packed.get());
    }
    return o;
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// The equations, one sequence and one number at a time.
template <class T>
std::vector<double> plain_forward(const Problem<T>& p, bool reverse, bool masked) {
    const int64_t hidden = p.hidden, gates = gate_count(p.kind);
    std::vector<double> out(static_cast<size_t>(p.total * hidden));
    int64_t offset = 0;
    for (int64_t b = 0; b < p.batch; offset += p.lengths[static_cast<size_t>(b)], ++b) {
        const int64_t length = p.lengths[static_cast<size_t>(b)];
        std::vector<double> h(p.h0.begin() + b * hidden, p.h0.begin() + (b + 1) * hidden);
        std::vector<double> c(p.c0.begin() + b * hidden, p.c0.begin() + (b + 1) * hidden);
        for (int64_t t = 0; t < length; ++t) {
            const int64_t token = offset + (reverse ? length - 1 - t : t);
            std::vector<double> a(static_cast<size_t>(gates * hidden)), r(a.size());
            for (int64_t j = 0; j < gates * hidden; ++j) {
                double x = p.b_ih[static_cast<size_t>(j)], y = p.b_hh[static_cast<size_t>(j)];
                for (int64_t k = 0; k < p.input; ++k) x += double(p.w_ih[static_cast<size_t>(j * p.input + k)]) * p.x[static_cast<size_t>(token * p.input + k)];
                for (int64_t k = 0; k < hidden; ++k)
                    y += double(p.w_hh[static_cast<size_t>(j * hidden + k)]) * h[static_cast<size_t>(k)] * (masked ? double(p.mask[static_cast<size_t>(b * hidden + k)]) : 1.0);
                a[static_cast<size_t>(j)] = x;
                r[static_cast<size_t>(j)] = y;
            }
            for (int64_t u = 0; u < hidden; ++u) {
                auto sum = [&](int64_t g) { return a[static_cast<size_t>(g * hidden + u)] + r[static_cast<size_t>(g * hidden + u)]; };
                double& state = h[static_cast<size_t>(u)];
                if (p.kind == Kind::lstm) {
                    double& cell = c[static_cast<size_t>(u)];
                    cell = sigmoid(sum(1)) * cell + sigmoid(sum(0)) * std::tanh(sum(2));
                    state = sigmoid(sum(3)) * std::tanh(cell);
                } else if (p.kind == Kind::gru) {
                    const double z = sigmoid(sum(1));
                    const double n = std::tanh(a[static_cast<size_t>(2 * hidden + u)] + sigmoid(sum(0)) * r[static_cast<size_t>(2 * hidden + u)]);
                    state = (1 - z) * n + z * state;
                } else {
                    state = p.kind == Kind::rnn_relu ? std::max(0.0, sum(0)) : std::tanh(sum(0));
                }
                out[static_cast<size_t>(token * hidden + u)] = state;
            }
        }
    }
    return out;
}

template <class T>
void check_forward(const Problem<T>& p, Isa isa) {
    for (bool reverse : {false, true}) {
        for (bool masked : {false, true}) {
            const std::vector<double> expected = plain_forward(p, reverse, masked);
            for (bool save : {false, true}) {
                const Outputs<T> o = run_forward(p, reverse, save, masked, save ? 1 : 3, isa);
                double error = 0;
                for (size_t i = 0; i < expected.size(); ++i)
                    error = std::max(error, std::abs(o.out[i] - expected[i]) / (1 + std::abs(expected[i])));
                expect(error < 2e-5, "forward", p.kind, p.hidden, error);
            }
        }
    }
}

template <class T>
struct Gradients {
    std::vector<T> d_xw, d_hn, d_h0, d_c0, d_w_hh, d_b_hh, d_w_ih, d_b_ih, d_x;
};

// Loss: sum of out, last h and last c, each weighted by fixed numbers.
template <class T>
Gradients<T> run_backward(const Problem<T>& p, const Outputs<T>& o, const std::vector<T>& d_out, const std::vector<T>& d_state,
                          bool reverse, bool masked, int threads, Isa isa) {
    const int64_t gh = gate_count(p.kind) * p.hidden;
    auto sized = [](int64_t n) { return std::vector<T>(static_cast<size_t>(n)); };
    Gradients<T> g{sized(p.total * gh), sized(p.total * p.hidden), sized(p.batch * p.hidden), sized(p.batch * p.hidden),
                   sized(gh * p.hidden), sized(gh), sized(gh * p.input), sized(gh), sized(p.total * p.input)};
    Backward<T> b;
    b.kind = p.kind;
    b.reverse = reverse;
    b.batch = p.batch;
    b.total = p.total;
    b.hidden = p.hidden;
    b.input = p.input;
    b.lengths = p.lengths.data();
    b.w_hh = p.w_hh.data();
    b.h0 = p.h0.data();
    b.c0 = p.c0.data();
    b.h_mask = masked ? p.mask.data() : nullptr;
    b.gates = gate_count(p.kind) > 1 ? o.xw.data() : nullptr;
    b.cells = gate_count(p.kind) > 1 ? o.cells.data() : nullptr;
    b.out = o.out.data();
    b.out_stride = p.hidden;
    b.d_out = d_out.data();
    b.d_out_stride = p.hidden;
    b.d_h_n = d_state.data();
    b.d_c_n = p.kind == Kind::lstm ? d_state.data() : nullptr;
    b.d_xw = g.d_xw.data();
    b.d_hn = p.kind == Kind::gru ? g.d_hn.data() : nullptr;
    b.d_h0 = g.d_h0.data();
    b.d_c0 = p.kind == Kind::lstm ? g.d_c0.data() : nullptr;
    b.d_w_hh = g.d_w_hh.data();
    b.d_b_hh = g.d_b_hh.data();
    b.x = p.x.data();
    b.x_stride = p.input;
    b.w_ih = p.w_ih.data();
    b.d_w_ih = g.d_w_ih.data();
    b.d_b_ih = g.d_b_ih.data();
    b.d_x = g.d_x.data();
    backward(&b, 1, threads, isa);
    return g;
}

void check_gradients(Problem<double> p) {
    const std::vector<double> d_out = random_values<double>(p.total * p.hidden), d_state = random_values<double>(p.batch * p.hidden);
    for (bool reverse : {false, true}) {
        const bool masked = reverse;
        auto loss = [&] {
            const Outputs<double> o = run_forward(p, reverse, false, masked, 1, Isa::generic);
            double sum = 0;
            for (size_t i = 0; i < d_out.size(); ++i) sum += o.out[i] * d_out[i];
            for (size_t i = 0; i < d_state.size(); ++i) sum += (o.h_n[i] + (p.kind == Kind::lstm ? o.c_n[i] : 0.0)) * d_state[i];
            return sum;
        };
        const Outputs<double> o = run_forward(p, reverse, true, masked, 1, Isa::generic);
        const Gradients<double> g = run_backward(p, o, d_out, d_state, reverse, masked, 2, Isa::generic);
        auto compare = [&](std::vector<double>& values, const std::vector<double>& gradient, const char* what) {
            const size_t step = std::max<size_t>(1, values.size() / 7);
            for (size_t i = 0; i < values.size(); i += step) {
                const double kept = values[i], delta = 1e-6;
                values[i] = kept + delta;
                const double above = loss();
                values[i] = kept - delta;
                const double below = loss();
                values[i] = kept;
                const double error = std::abs((above - below) / (2 * delta) - gradient[i]);
                expect(error < 1e-6, what, p.kind, p.hidden, error);
            }
        };
        compare(p.x, g.d_x, "d_x");
        compare(p.w_ih, g.d_w_ih, "d_w_ih");
        compare(p.w_hh, g.d_w_hh, "d_w_hh");
        compare(p.b_ih, g.d_b_ih, "d_b_ih");
        compare(p.b_hh, g.d_b_hh, "d_b_hh");
        compare(p.h0, g.d_h0, "d_h0");
        if (p.kind == Kind::lstm) compare(p.c0, g.d_c0, "d_c0");
    }
}

// float32 gradients of an instruction set against those of the double kernels, which check_gradients has proved.
void check_float_gradients(const Problem<float>& p, Isa isa) {
    Problem<double> q(p.kind, p.lengths, p.hidden, p.input);
    auto widen = [](const std::vector<float>& from, std::vector<double>& to) { to.assign(from.begin(), from.end()); };
    widen(p.x, q.x), widen(p.w_ih, q.w_ih), widen(p.w_hh, q.w_hh), widen(p.b_ih, q.b_ih), widen(p.b_hh, q.b_hh);
    widen(p.h0, q.h0), widen(p.c0, q.c0), widen(p.mask, q.mask);
    const std::vector<float> d_out = random_values<float>(p.total * p.hidden), d_state = random_values<float>(p.batch * p.hidden);
    const std::vector<double> d_out_wide(d_out.begin(), d_out.end()), d_state_wide(d_state.begin(), d_state.end());
    const auto o = run_forward(p, true, true, true, 2, isa);
    const auto g = run_backward(p, o, d_out, d_state, true, true, 2, isa);
    const auto expected_o = run_forward(q, true, true, true, 1, Isa::generic);
    const auto expected = run_backward(q, expected_o, d_out_wide, d_state_wide, true, true, 1, Isa::generic);
    auto compare = [&](const std::vector<float>& a, const std::vector<double>& b, const char* what) {
        double error = 0, largest = 1;
        for (double value : b) largest = std::max(largest, std::abs(value));
        for (size_t i = 0; i < b.size(); ++i) error = std::max(error, std::abs(a[i] - b[i]) / largest);
        expect(error < 2e-5, what, p.kind, p.hidden, error);
    };
    compare(g.d_x, expected.d_x, "float d_x");
    compare(g.d_w_ih, expected.d_w_ih, "float d_w_ih");
    compare(g.d_w_hh, expected.d_w_hh, "float d_w_hh");
    compare(g.d_b_ih, expected.d_b_ih, "float d_b_ih");
    compare(g.d_b_hh, expected.d_b_hh, "float d_b_hh");
    compare(g.d_h0, expected.d_h0, "float d_h0");
    if (p.kind == Kind::lstm) compare(g.d_c0, expected.d_c0, "float d_c0");
}

void check_embedding_bag(int64_t dim, Isa isa) {
    const std::vector<float> table = random_values<float>(20 * dim);
    const std::vector<uint16_t> ones(static_cast<size_t>(20 * dim), 0x3C00);  // 1 in half precision
    const std::vector<int64_t> lengths = {3, 0, 1, 19};
    std::vector<int32_t> rows;
    for (int32_t i = 0; i < 23; ++i) rows.push_back(19 - i % 20);
    std::vector<float> sums(static_cast<size_t>(4 * dim)), counts(sums.size());
    embedding_bag<float>(table.data(), false, rows.data(), lengths.data(), sums.data(), 4, dim, 2, isa);
    embedding_bag<float>(ones.data(), true, rows.data(), lengths.data(), counts.data(), 4, dim, 2, isa);
    double error = 0;
    size_t next = 0;
    for (size_t k = 0; k < lengths.size(); ++k) {
        for (int64_t u = 0; u < dim; ++u) {
            double sum = 0;
            for (int64_t j = 0; j < lengths[k]; ++j) sum += table[static_cast<size_t>(rows[next + static_cast<size_t>(j)] * dim + u)];
            error = std::max(error, std::abs(sum - sums[k * static_cast<size_t>(dim) + static_cast<size_t>(u)]));
            error = std::max(error, std::abs(static_cast<double>(lengths[k]) - counts[k * static_cast<size_t>(dim) + static_cast<size_t>(u)]));
        }
        next += static_cast<size_t>(lengths[k]);
    }
    expect(error < 1e-5, "embedding_bag", Kind::rnn_tanh, dim, error);
}

}  // namespace

int main() {
    const std::vector<std::vector<int64_t>> batches = {{0}, {1}, {3, 0, 5, 1, 1, 4, 2, 5, 5}, {2, 9, 0, 0, 1}};
    for (Kind kind : {Kind::rnn_tanh, Kind::rnn_relu, Kind::lstm, Kind::gru}) {
        check_gradients(Problem<double>(kind, {3, 0, 1, 4}, 5, 3));
        for (const auto& lengths : batches) {
            for (int64_t hidden : {1, 7, 16, 33, 70}) {
                const Problem<float> p(kind, lengths, hidden, hidden == 16 ? 1 : 9);
                for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
                    if (!isa_supported(isa)) continue;
                    check_forward(p, isa);
                    check_float_gradients(p, isa);
                }
            }
        }
    }
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
        for (int64_t dim : {1, 5, 16, 71})
            if (isa_supported(isa)) check_embedding_bag(dim, isa);
    std::vector<std::thread> callers;  // several callers share the pool
    for (int i = 0; i < 3; ++i)
        callers.emplace_back([] {
            std::vector<float> x(900 * 40, 0.5f), w(140 * 40, 0.25f), out(900 * 140);
            for (int round = 0; round < 20; ++round) {
                linear<float>(x.data(), w.data(), nullptr, out.data(), 900, 40, 140, 2, best_isa());
                for (float value : out)
                    if (value != 5.0f) std::abort();
            }
        });
    for (std::thread& caller : callers) caller.join();
    std::printf(failures ? "%d failures\n" : "all passed\n", failures);
    return failures ? 1 : 0;
}
