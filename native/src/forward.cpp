#include <algorithm>
#include <deque>

#include "dispatch.h"
#include "parallel.h"
#include "plan.h"

namespace unrolled {
namespace {

// Steps projected at once: enough rows for the product to run at full speed, few enough to stay in the cache; in a team few
// enough for those who come late to have their share.
int64_t chunk_steps(int64_t rows, int64_t longest, int team) {
    const int64_t tokens = team > 1 ? 24 : 128;
    return std::max<int64_t>(1, std::min<int64_t>(tokens / std::max<int64_t>(rows, 1), longest));
}

// Weights in the order in which the scan reads them; panels of T, or reduced with scales.
template <class T>
struct Packed {
    void *w_hh = nullptr, *w_ih = nullptr;
    T *b_hh = nullptr, *b_ih = nullptr, *scales_hh = nullptr, *scales_ih = nullptr;
};

// Packs every direction into memory from arena.
template <class T>
void pack(const Forward<T>* directions, int count, int threads, const Kernels<T>& kernels, Packed<T>* packed, Arena& arena) {
    const Forward<T>& any = directions[0];
    const int gates = gate_count(any.kind);
    const int64_t hidden = any.hidden, gh = gates * hidden, padded = kernels.padded(hidden), columns = kernels.padded(gh);
    for (int d = 0; d < count; ++d) {
        packed[d].w_hh = arena.take<T>(padded * gates * hidden);
        packed[d].b_hh = arena.take<T>(padded * gates);
        if (any.input > 0) packed[d].w_ih = arena.take<T>(columns * any.input);
        if (any.input > 0 && directions[d].b_ih) packed[d].b_ih = arena.take<T>(columns);
    }
    parallel_for(2 * count, threads, [&](int task) {
        const Forward<T>& f = directions[task / 2];
        const Packed<T>& p = packed[task / 2];
        if (task % 2 == 0) {
            if (gates > 1) {
                kernels.pack_gates(static_cast<T*>(p.w_hh), f.w_hh, hidden, gates);
            } else {
                kernels.pack_plain(static_cast<T*>(p.w_hh), f.w_hh, hidden, hidden, hidden, false, nullptr, 0, 0);
            }
            kernels.pack_gate_bias(p.b_hh, f.b_hh, hidden, gates);
        } else if (f.input > 0) {
            kernels.pack_plain(static_cast<T*>(p.w_ih), f.w_ih, f.input, gh, f.input, false, nullptr, 0, 0);
            if (p.b_ih) {
                std::copy(f.b_ih, f.b_ih + gh, p.b_ih);
                std::fill(p.b_ih + gh, p.b_ih + columns, T(0));
            }
        }
    });
}

// The same panels with less precision, in memory from arena.
template <class T>
Packed<T> reduce(const Forward<T>& f, const Packed<T>& full, Precision precision, const Kernels<T>& kernels, Arena& arena) {
    const int gates = gate_count(f.kind);
    const int64_t padded = kernels.padded(f.hidden) * gates, columns = kernels.padded(gates * f.hidden);
    const int64_t bytes = precision == Precision::bfloat16 ? 2 : 1;
    Packed<T> reduced;
    reduced.b_hh = arena.take<T>(padded);
    std::copy(full.b_hh, full.b_hh + padded, reduced.b_hh);
    reduced.w_hh = arena.take<char>(padded * (f.hidden + 1) * bytes);
    reduced.scales_hh = arena.take<T>(padded);
    kernels.reduce_panels(precision, static_cast<const T*>(full.w_hh), f.hidden, f.hidden, gates, reduced.w_hh, reduced.scales_hh);
    if (full.w_ih) {
        reduced.w_ih = arena.take<char>(columns * (f.input + 1) * bytes);
        reduced.scales_ih = arena.take<T>(columns);
        kernels.reduce_panels(precision, static_cast<const T*>(full.w_ih), gates * f.hidden, f.input, 1, reduced.w_ih, reduced.scales_ih);
    }
    if (full.b_ih) {
        reduced.b_ih = arena.take<T>(columns);
        std::copy(full.b_ih, full.b_ih + columns, reduced.b_ih);
    }
    return reduced;
}

// Threads that share one scan: worth it where the weights are what a step waits for, and a step is longer than a meeting.
int team_size(int threads, int tasks, int64_t rows, Kind kind, int64_t hidden) {
    constexpr int64_t kFewRows = 8, kUnits = 64;
    if (gate_count(kind) == 1 || rows > kFewRows || threads <= tasks) return 1;
    return static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(threads / tasks, hidden / kUnits)));
}

}  // namespace

template <class T>
struct PackedLayer {
    Isa isa;
    Precision precision;
    Arena memory;
    Packed<T> directions[2];
};

template <class T>
std::shared_ptr<const PackedLayer<T>> pack_layer(const Forward<T>* directions, int count, Isa isa, Precision precision) {
    auto layer = std::make_shared<PackedLayer<T>>();
    layer->isa = isa;
    layer->precision = precision;
    const Kernels<T>& kernels = kernels_for<T>(isa);
    if (precision == Precision::full) {
        pack(directions, count, 1, kernels, layer->directions, layer->memory);
        return layer;
    }
    Arena arena;
    Packed<T> full[2];
    pack(directions, count, 1, kernels, full, arena);
    for (int d = 0; d < count; ++d) layer->directions[d] = reduce(directions[d], full[d], precision, kernels, layer->memory);
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

    int64_t rows = 0;
    for (int64_t b = 0; b < batch; ++b) rows += any.lengths[b] > 0;
    const int team = team_size(threads, count, rows, any.kind, hidden);
    const Plan plan(any.lengths, batch, team > 1 ? 1 : groups_per_direction(threads, count), arena);
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
    if (!prepared) pack(directions, count, threads, kernels, fresh, arena);
    const Packed<T>* packed = prepared ? prepared->directions : fresh;
    const Precision precision = prepared ? prepared->precision : Precision::full;

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
            s.precision = precision;
            s.packed_w_hh = packed[d].w_hh;
            s.packed_b_hh = packed[d].b_hh;
            s.scales_hh = packed[d].scales_hh;
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
            s.scales_ih = packed[d].scales_ih;
            s.chunk = f.input > 0 ? chunk_steps(group.rows, plan.longest, team) : 1;
            s.compact = f.xw == nullptr;
            s.xw_distance = s.compact ? row_distance<T>(gh) : gh;
            if (s.compact) s.xw = arena.take<T>(group.rows * s.chunk * s.xw_distance);
            s.state = arena.take<T>(kernels.forward_state(group.rows, hidden));
            scans.push_back(s);
        }
    }
    std::deque<Team> teams;
    for (size_t i = 0; i < scans.size(); ++i) teams.emplace_back(team);
    // Task i is a place in the team of scan i % (number of scans).
    std::vector<ScanForward<T>> places;
    for (int place = 0; place < team; ++place) {
        for (ScanForward<T> s : scans) {
            s.row_pointers = arena.take<const T*>(s.rows * s.chunk);
            s.operands = arena.take<char>(s.rows * s.chunk * kOperandBytes);
            if (precision == Precision::int8) {
                s.quantised = arena.take<int16_t>(s.rows * std::max(s.chunk * (s.input + 1), hidden + 1));
            }
            places.push_back(s);
        }
    }
    parallel_for(count * groups * team, threads, [&](int task) {
        ScanForward<T>& s = places[static_cast<size_t>(task)];
        if (team > 1) {
            s.team = &teams[static_cast<size_t>(task) % scans.size()];
            s.member = s.team->arrive();
            if (s.member < 0) return;
        }
        kernels.scan_forward(s);
    });
}

template void forward<float>(const Forward<float>*, int, int, Isa, const PackedLayer<float>*);
template void forward<double>(const Forward<double>*, int, int, Isa, const PackedLayer<double>*);
template std::shared_ptr<const PackedLayer<float>> pack_layer<float>(const Forward<float>*, int, Isa, Precision);
template std::shared_ptr<const PackedLayer<double>> pack_layer<double>(const Forward<double>*, int, Isa, Precision);

}  // namespace unrolled
