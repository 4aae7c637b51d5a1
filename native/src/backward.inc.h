// The backward scan. Included once per instruction set after product.inc.h.

// Gate gradients of one sequence at one step. dh (padded H) holds dL/dh_t from later steps; GRU leaves z*dh in it.
void gate_gradients(const ScanBackward<T>& s, int64_t row, int64_t t, T* dh, T* dc) {
    const int64_t hidden = s.hidden;
    const int64_t token = s.first[row] + s.token_step * t;
    const int64_t previous = token - s.token_step;
    const T* d_out = s.d_out ? s.d_out + token * s.d_out_stride : nullptr;
    const T* out = s.out + token * s.out_stride;
    const T* gates = s.gates ? s.gates + token * gate_count(s.kind) * hidden : nullptr;
    const T* cells = s.cells ? s.cells + token * hidden : nullptr;
    T* d_xw = s.d_xw + token * gate_count(s.kind) * hidden;
    const V one = S::set(T(1));
    for (int64_t u = 0; u < hidden; u += W) {
        const int64_t n = hidden - u;
        V d = S::load(dh + u);
        if (d_out) d = S::add(d, S::load(d_out + u, n));
        if (s.kind == Kind::lstm) {
            const V i = S::load(gates + u, n);
            const V f = S::load(gates + hidden + u, n);
            const V g = S::load(gates + 2 * hidden + u, n);
            const V o = S::load(gates + 3 * hidden + u, n);
            const V squashed = S::tanh(S::load(cells + u, n));
            V c_previous = S::zero();
            if (t > 0) {
                c_previous = S::load(s.cells + previous * hidden + u, n);
            } else if (s.c0) {
                c_previous = S::load(s.c0 + s.sequence[row] * hidden + u, n);
            }
            const V d_tanh = S::mul(S::mul(d, o), S::sub(one, S::mul(squashed, squashed)));
            const V d_c = S::add(S::load(dc + u), d_tanh);
            const V d_o = S::mul(S::mul(d, squashed), S::mul(o, S::sub(one, o)));
            const V d_i = S::mul(S::mul(d_c, g), S::mul(i, S::sub(one, i)));
            const V d_f = S::mul(S::mul(d_c, c_previous), S::mul(f, S::sub(one, f)));
            const V d_g = S::mul(S::mul(d_c, i), S::sub(one, S::mul(g, g)));
            S::store(d_xw + u, d_i, n);
            S::store(d_xw + hidden + u, d_f, n);
            S::store(d_xw + 2 * hidden + u, d_g, n);
            S::store(d_xw + 3 * hidden + u, d_o, n);
            S::store(dc + u, S::mul(d_c, f));
        } else if (s.kind == Kind::gru) {
            const V r = S::load(gates + u, n);
            const V z = S::load(gates + hidden + u, n);
            const V c = S::load(gates + 2 * hidden + u, n);
            V h_previous = S::zero();
            if (t > 0) {
                h_previous = S::load(s.out + previous * s.out_stride + u, n);
            } else if (s.h0) {
                h_previous = S::load(s.h0 + s.sequence[row] * hidden + u, n);
            }
            const V d_z = S::mul(S::mul(d, S::sub(h_previous, c)), S::mul(z, S::sub(one, z)));
            const V d_n = S::mul(S::mul(d, S::sub(one, z)), S::sub(one, S::mul(c, c)));
            const V d_r = S::mul(S::mul(d_n, S::load(cells + u, n)), S::mul(r, S::sub(one, r)));
            S::store(d_xw + u, d_r, n);
            S::store(d_xw + hidden + u, d_z, n);
            S::store(d_xw + 2 * hidden + u, d_n, n);
            S::store(s.d_hn + token * hidden + u, S::mul(d_n, r), n);
            S::store(dh + u, S::mul(d, z));
        } else {
            const V h = S::load(out + u, n);
            const V d_a = s.kind == Kind::rnn_relu ? S::where_positive(h, d) : S::mul(d, S::sub(one, S::mul(h, h)));
            S::store(d_xw + u, d_a, n);
        }
    }
}

struct BackwardStep {
    const ScanBackward<T>* s;
    int64_t padded, k1, k2;
    T* dh;
    const T* const* a1;
    const T* const* a2;
};

// dh_{t-1} = (gate gradients) W_hh * mask, plus z*dh_t for GRU.
template <int NV>
struct BackwardTile {
    template <int MR>
    static void run(const BackwardStep& step, const int64_t& row, const int64_t& u, const T* const& panel) {
        const ScanBackward<T>& s = *step.s;
        const T* a[MR];
        V acc[MR][NV];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            a[r] = step.a1[row + r];
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) acc[r][j] = S::zero();
        }
        accumulate<MR, NV>(acc, a, panel, step.k1);
        if (step.k2 > 0) {
            UNROLLED_UNROLL
            for (int r = 0; r < MR; ++r) a[r] = step.a2[row + r];
            accumulate<MR, NV>(acc, a, panel + step.k1 * NV * W, step.k2);
        }
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) {
                const int64_t column = u + j * W;
                T* target = step.dh + (row + r) * step.padded + column;
                V d = acc[r][j];
                if (s.h_mask) d = S::mul(d, S::load(s.h_mask + s.sequence[row + r] * s.hidden + column, s.hidden - column));
                if (s.kind == Kind::gru) d = S::add(d, S::load(target));
                S::store(target, d);
            }
        }
    }
};

template <int NV>
void backward_panel(const BackwardStep& step, int64_t active, int64_t u, const T* panel) {
    for_tiles(active, tile_rows(NV), [&](int64_t row, int height) {
        with_height<BackwardTile<NV>, tile_rows(NV)>(height, step, row, u, panel);
    });
}

void scan_backward(const ScanBackward<T>& s) {
    const int64_t hidden = s.hidden;
    const int64_t gh = gate_count(s.kind) * hidden;
    const int64_t padded = ceil_div(hidden, W) * W;
    T* dh = s.state;
    T* dc = s.state + s.rows * padded;
    for (int64_t row = 0; row < s.rows; ++row) {
        const int64_t from = s.sequence[row] * hidden;
        for (int64_t u = 0; u < padded; u += W) {
            S::store(dh + row * padded + u, s.d_h_n ? S::load(s.d_h_n + from + u, hidden - u) : S::zero());
            S::store(dc + row * padded + u, s.d_c_n ? S::load(s.d_c_n + from + u, hidden - u) : S::zero());
        }
    }
    const bool gru = s.kind == Kind::gru;
    const T** a1 = s.row_pointers;
    const T** a2 = s.row_pointers + s.rows;
    const BackwardStep step{&s, padded, gru ? 2 * hidden : gh, gru ? hidden : 0, dh, a1, a2};
    const int64_t vectors = ceil_div(hidden, W);
    int64_t active = 0;
    for (int64_t t = s.rows > 0 ? s.length[0] - 1 : -1; t >= 0; --t) {
        while (active < s.rows && s.length[active] > t) ++active;
        for (int64_t row = 0; row < active; ++row) {
            gate_gradients(s, row, t, dh + row * padded, dc + row * padded);
            const int64_t token = s.first[row] + s.token_step * t;
            a1[row] = s.d_xw + token * gh;
            if (gru) a2[row] = s.d_hn + token * hidden;
        }
        const T* panel = s.packed_w_hh;
        for (int64_t v = 0; v < vectors; v += kPanelVectors) {
            const int nv = static_cast<int>(vectors - v < kPanelVectors ? vectors - v : kPanelVectors);
            switch (nv) {
                case 4: backward_panel<4>(step, active, v * W, panel); break;
                case 3: backward_panel<3>(step, active, v * W, panel); break;
                case 2: backward_panel<2>(step, active, v * W, panel); break;
                default: backward_panel<1>(step, active, v * W, panel); break;
            }
            panel += gh * nv * W;
        }
    }
    for (int64_t row = 0; row < s.rows; ++row) {
        const int64_t to = s.sequence[row] * hidden;
        for (int64_t u = 0; u < hidden; u += W) {
            S::store(s.d_h0 + to + u, S::load(dh + row * padded + u), hidden - u);
            if (s.d_c0) S::store(s.d_c0 + to + u, S::load(dc + row * padded + u), hidden - u);
        }
    }
}
