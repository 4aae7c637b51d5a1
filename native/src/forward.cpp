#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "parallel.h"
#include "plan.h"

namespace unrolled {
namespace {

// Steps projected at once: enough rows for the product to run at full speed, few enough to stay in the cache.
int64_t chunk_steps(int64_t rows, int64_t longest) {
    return std::max<int64_t>(1, std::min<int64_t>(128 / std::max<int64_t>(rows, 1), longest));
}

template <class T>
struct Packed {
    T *w_hh = nullptr, *b_hh = nullptr, *w_ih = nullptr, *b_ih = nullptr;
};

// Packs every direction into memory from take(count).
template <class T, class Take>
void pack(const Forward<T>* directions, int count, int threads, const Kernels<T>& kernels, Packed<T>* packed, Take take) {
    const Forward<T>& any = directions[0];
    const int gates = gate_count(any.kind);
    const int64_t hidden = any.hidden, gh = gates * hidden, padded = kernels.padded(hidden), columns = kernels.padded(gh);
    for (int d = 0; d < count; ++d) {
        packed[d].w_hh = take(padded * gates * hidden);
        packed[d].b_hh = take(padded * gates);
        if (any.input > 0) packed[d].w_ih = take(columns * any.input);
        if (any.input > 0 && directions[d].b_ih) packed[d].b_ih = take(columns);
    }
    parallel_for(2 * count, threads, [&](int task) {
        const Forward<T>& f = directions[task / 2];
        const Packed<T>& p = packed[task / 2];
        if (task % 2 == 0) {
            if (gates > 1) {
                kernels.pack_gates(p.w_hh, f.w_hh, hidden, gates);
            } else {
                kernels.pack_plain(p.w_hh, f.w_hh, hidden, hidden, hidden, false, nullptr, 0, 0);
            }
            kernels.pack_gate_bias(p.b_hh, f.b_hh, hidden, gates);
        } else if (f.input > 0) {
            kernels.pack_plain(p.w_ih, f.w_ih, f.input, gh, f.input, false, nullptr, 0, 0);
            if (p.b_ih) {
                std::copy(f.b_ih, f.b_ih + gh, p.b_ih);
                std::fill(p.b_ih + gh, p.b_ih + columns, T(0));
            }
        }
    });
}

}  // namespace

template <class T>
struct PackedLayer {
    Isa isa;
    Arena memory;
    Packed<T> directions[2];
};

template <class T>
std::shared_ptr<const PackedLayer<T>> pack_layer(const Forward<T>* directions, int count, Isa isa) {
    auto layer = std::make_shared<PackedLayer<T>>();
    layer->isa = isa;
    pack(directions, count, 1, kernels_for<T>(isa), layer->directions, [&](int64_t n) { return layer->memory.template take<T>(n); });
    return layer;
}

template <class T>
void forward(const Forward<T>* directions, int count, int threads, Isa isa, const PackedLayer<T>* prepared) {
    const Kernels<T>& kernels = kernels_for<T>(prepared ? prepared->isa : isa);
    const Forward<T>& any = directions[0];
    const int gates = gate_count(any.kind);
    const int64_t hidden = any.hidden, gh = gates * hidden, batch = any.batch;
    Arena arena;
    threads = useful_threads(threads, static_cast<double>(any.total) * gh * (hidden + any.input) * count);
    const Plan plan(any.lengths, batch, groups_per_direction(threads, count), arena);
    const int groups = static_cast<int>(plan.groups.size());

    for (int d = 0; d < count; ++d) {
        const Forward<T>& f = directions[d];
        for (int64_t b = 0; b < batch; ++b) {
            if (f.lengths[b] > 0) continue;
            for (int64_t u = 0; u < hidden; ++u) {
                f.h_n[b * hidden + u] = f.h0 ? f.h0[b * hidden + u] : T(0);
                if (f.c_n) f.c_n[b * hidden + u] = f.c0 ? f.c0[b * hidden + u] : T(0);
            }
        }
    }
    if (any.total == 0) return;

    Packed<T> fresh[2];
    if (!prepared) pack(directions, count, threads, kernels, fresh, [&](int64_t n) { return arena.take<T>(n); });
    const Packed<T>* packed = prepared ? prepared->directions : fresh;

    std::vector<ScanForward<T>> scans;
    for (int d = 0; d < count; ++d) {
        const Forward<T>& f = directions[d];
        for (const Group& group : plan.groups) {
            ScanForward<T> s{};
            s.kind = f.kind;
            s.hidden = hidden;
            s.rows = group.rows;
            s.length = group.length;
            s.sequence = group.sequence;
            s.first = group.first[f.reverse];
            s.token_step = f.reverse ? -1 : 1;
            s.packed_w_hh = packed[d].w_hh;
            s.packed_b_hh = packed[d].b_hh;
            s.h0 = f.h0;
            s.c0 = f.c0;
            s.h_mask = f.h_mask;
            s.xw = f.xw;
            s.out = f.out;
            s.out_stride = f.out_stride;
            s.h_n = f.h_n;
            s.c_n = f.c_n;
            s.cells = f.cells;
            s.save = f.save;
            s.input = f.input;
            s.x = f.x;
            s.x_stride = f.x_stride;
            s.lookup = f.rows;
            s.packed_w_ih = packed[d].w_ih;
            s.packed_b_ih = packed[d].b_ih;
            s.chunk = f.input > 0 ? chunk_steps(group.rows, plan.longest) : 1;
            s.compact = f.xw == nullptr;
            s.xw_distance = s.compact ? row_distance<T>(gh) : gh;
            if (s.compact) s.xw = arena.take<T>(group.rows * s.chunk * s.xw_distance);
            s.state = arena.take<T>(kernels.forward_state(group.rows, hidden));
            s.row_pointers = arena.take<const T*>(2 * group.rows * s.chunk);
            scans.push_back(s);
        }
    }
    parallel_for(count * groups, threads, [&](int task) { kernels.scan_forward(scans[static_cast<size_t>(task)]); });
}

template void forward<float>(const Forward<float>*, int, int, Isa, const PackedLayer<float>*);
template void forward<double>(const Forward<double>*, int, int, Isa, const PackedLayer<double>*);
template std::shared_ptr<const PackedLayer<float>> pack_layer<float>(const Forward<float>*, int, Isa);
template std::shared_ptr<const PackedLayer<double>> pack_layer<double>(const Forward<double>*, int, Isa);

}  // namespace unrolled
