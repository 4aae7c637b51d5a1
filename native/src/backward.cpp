#include <algorithm>

#include "dispatch.h"
#include "parallel.h"
#include "plan.h"

namespace unrolled {
namespace {

// A weight gradient: sum over tokens of left[token][0..m) (outer) right[token][0..n).
template <class T>
struct WeightGradient {
    const T* const* left;
    const T* const* right;
    int64_t m, n;
    T* target;
    T* sums;
};

// Pointers to what stood on the right of W_hh at every token: (masked) h of the step before.
template <class T>
const T** previous_h(const Backward<T>& b, const Plan& plan, Arena& arena) {
    const int64_t hidden = b.hidden;
    const T** rows = arena.take<const T*>(b.total);
    T* zeros = arena.take<T>(hidden);
    std::fill(zeros, zeros + hidden, T(0));
    T* masked = b.h_mask ? arena.take<T>(b.total * hidden) : nullptr;
    for (int64_t s = 0; s < b.batch; ++s) {
        const T* start = b.h0 ? b.h0 + s * hidden : zeros;
        const int64_t begin = plan.offsets[s], end = plan.offsets[s + 1];
        for (int64_t token = begin; token < end; ++token) {
            const bool is_first = token == (b.reverse ? end - 1 : begin);
            const T* row = is_first ? start : b.out + (b.reverse ? token + 1 : token - 1) * b.out_stride;
            if (masked) {
                T* copy = masked + token * hidden;
                for (int64_t u = 0; u < hidden; ++u) copy[u] = row[u] * b.h_mask[s * hidden + u];
                row = copy;
            }
            rows[token] = row;
        }
    }
    return rows;
}

template <class T>
const T** row_pointers(const T* start, int64_t stride, int64_t count, Arena& arena) {
    const T** rows = arena.take<const T*>(count);
    for (int64_t i = 0; i < count; ++i) rows[i] = start + i * stride;
    return rows;
}

template <class T>
void run_weight_gradients(const std::vector<WeightGradient<T>>& gradients, int64_t tokens, int threads,
                          const Kernels<T>& kernels, Arena& arena) {
    // Blocks of output rows: small enough that the packed left side fits the second-level cache, and enough of them
    // for the threads. Their borders do not change the sums.
    std::vector<Outer<T>> tasks;
    for (const WeightGradient<T>& g : gradients) {
        const int64_t even = threads > 1 && gradients.size() % static_cast<size_t>(threads) != 0 ? threads : 1;
        const int64_t parts = ceil_div(ceil_div(g.m, 384), even) * even;
        const int64_t part = ceil_div(ceil_div(g.m, parts), 48) * 48;
        for (int64_t m = 0; m < g.m; m += part) {
            const int64_t end = std::min(m + part, g.m);
            tasks.push_back({tokens, m, end, g.n, g.left, g.right, g.target + m * g.n, g.sums ? g.sums + m : nullptr,
                             arena.take<T>(kernels.outer_scratch(end - m, g.n))});
        }
    }
    parallel_for(static_cast<int>(tasks.size()), threads, [&](int i) { kernels.outer(tasks[static_cast<size_t>(i)]); });
}

}  // namespace

template <class T>
void backward(const Backward<T>* directions, int count, int threads, Isa isa) {
    const Kernels<T>& kernels = kernels_for<T>(isa);
    const Backward<T>& any = directions[0];
    const int gates = gate_count(any.kind);
    const int64_t hidden = any.hidden, gh = gates * hidden, batch = any.batch, total = any.total;
    const int64_t padded = kernels.padded(hidden);
    Arena arena;
    threads = useful_threads(threads, static_cast<double>(total) * gh * (hidden + any.input) * count * 2);
    const Plan plan(any.lengths, batch, groups_per_direction(threads, count), arena);
    const int groups = static_cast<int>(plan.groups.size());

    for (int d = 0; d < count; ++d) {
        const Backward<T>& b = directions[d];
        for (int64_t s = 0; s < batch; ++s) {
            if (b.lengths[s] > 0) continue;
            for (int64_t u = s * hidden; u < (s + 1) * hidden; ++u) {
                b.d_h0[u] = b.d_h_n ? b.d_h_n[u] : T(0);
                if (b.d_c0) b.d_c0[u] = b.d_c_n ? b.d_c_n[u] : T(0);
            }
        }
    }

    std::vector<T*> packed;
    for (int d = 0; d < count; ++d) packed.push_back(arena.take<T>(gh * padded));
    T* packed_w_ih = any.d_x ? arena.take<T>(count * gh * kernels.padded(any.input)) : nullptr;
    parallel_for(count + 1, threads, [&](int task) {
        if (task < count) {
            kernels.pack_plain(packed[static_cast<size_t>(task)], directions[task].w_hh, hidden, hidden, gh, true, nullptr, 0, 0);
        } else if (packed_w_ih) {
            const T* second = count > 1 ? directions[1].w_ih : nullptr;
            kernels.pack_plain(packed_w_ih, any.w_ih, any.input, any.input, gh, true, second, any.input, second ? gh : 0);
        }
    });

    std::vector<ScanBackward<T>> scans;
    for (int d = 0; d < count; ++d) {
        const Backward<T>& b = directions[d];
        for (const Group& group : plan.groups) {
            ScanBackward<T> s{};
            s.kind = b.kind;
            s.hidden = hidden;
            s.rows = group.rows;
            s.length = group.length;
            s.sequence = group.sequence;
            s.first = group.first[b.reverse];
            s.token_step = b.reverse ? -1 : 1;
            s.packed_w_hh = packed[static_cast<size_t>(d)];
            s.h0 = b.h0;
            s.c0 = b.c0;
            s.h_mask = b.h_mask;
            s.gates = b.gates;
            s.cells = b.cells;
            s.out = b.out;
            s.out_stride = b.out_stride;
            s.d_out = b.d_out;
            s.d_out_stride = b.d_out_stride;
            s.d_h_n = b.d_h_n;
            s.d_c_n = b.d_c_n;
            s.d_xw = b.d_xw;
            s.d_hn = b.d_hn;
            s.d_h0 = b.d_h0;
            s.d_c0 = b.d_c0;
            s.state = arena.take<T>(kernels.backward_state(group.rows, hidden));
            s.row_pointers = arena.take<const T*>(3 * group.rows);
            scans.push_back(s);
        }
    }
    parallel_for(count * groups, threads, [&](int task) { kernels.scan_backward(scans[static_cast<size_t>(task)]); });

    std::vector<WeightGradient<T>> gradients;
    std::vector<const T**> d_xw_rows;
    for (int d = 0; d < count; ++d) {
        const Backward<T>& b = directions[d];
        const T** left = row_pointers<T>(b.d_xw, gh, total, arena);
        const T** h = previous_h(b, plan, arena);
        d_xw_rows.push_back(left);
        if (b.kind == Kind::gru) {
            const T** left_n = row_pointers<T>(b.d_hn, hidden, total, arena);
            gradients.push_back({left, h, 2 * hidden, hidden, b.d_w_hh, b.d_b_hh});
            gradients.push_back({left_n, h, hidden, hidden, b.d_w_hh + 2 * hidden * hidden, b.d_b_hh + 2 * hidden});
        } else {
            gradients.push_back({left, h, gh, hidden, b.d_w_hh, b.d_b_hh});
        }
        if (b.input > 0) gradients.push_back({left, row_pointers(b.x, b.x_stride, total, arena), gh, b.input, b.d_w_ih, b.d_b_ih});
    }
    run_weight_gradients(gradients, total, threads, kernels, arena);

    if (any.d_x) {
        T** target = const_cast<T**>(row_pointers<T>(any.d_x, any.input, total, arena));
        const int64_t block = 96;
        parallel_for(static_cast<int>(ceil_div(total, block)), threads, [&](int task) {
            const int64_t row = task * block;
            Product<T> p{};
            p.rows = std::min(block, total - row);
            p.n = any.input;
            p.k1 = gh;
            p.k2 = count > 1 ? gh : 0;
            p.a1 = d_xw_rows[0] + row;
            p.a2 = count > 1 ? d_xw_rows[1] + row : nullptr;
            p.panels = packed_w_ih;
            p.c = target + row;
            kernels.product(p);
        });
    }
}

template <class T>
void linear_weight_gradient(const T* d, const T* x, T* d_w, T* d_bias, int64_t rows, int64_t k, int64_t n, int threads, Isa isa) {
    const Kernels<T>& kernels = kernels_for<T>(isa);
    Arena arena;
    threads = useful_threads(threads, static_cast<double>(rows) * k * n);
    run_weight_gradients<T>({{row_pointers(d, n, rows, arena), row_pointers(x, k, rows, arena), n, k, d_w, d_bias}}, rows,
                            threads, kernels, arena);
}

template void backward<float>(const Backward<float>*, int, int, Isa);
template void backward<double>(const Backward<double>*, int, int, Isa);
template void linear_weight_gradient<float>(const float*, const float*, float*, float*, int64_t, int64_t, int64_t, int, Isa);
template void linear_weight_gradient<double>(const double*, const double*, double*, double*, int64_t, int64_t, int64_t, int, Isa);

}  // namespace unrolled
