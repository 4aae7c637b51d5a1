// The forward scan. Included once per instruction set after reduced.inc.h.

// One thread's view of a time step, shared by its tiles. P: see reduced.inc.h.
template <class P>
struct ForwardStep {
    const ScanForward<T>* s;
    int64_t t;
    int64_t distance;           // of the rows of the states, which hold `hidden` elements
    const T* h;                 // (rows, hidden) masked h_{t-1}: left operand of the product
    T* h_next;                  // (rows, hidden)
    T* h_plain;                 // (rows, hidden) h without mask; null without mask
    T* c;                       // (rows, hidden) LSTM cell state, updated in place
    const int64_t* xw_first;    // (rows,) row of xw at step 0
    int64_t xw_step;
    typename P::Row* rows;      // (rows,) h as P reads it

    UNROLLED_INLINE T* xw(int64_t row) const {
        return s->xw + (xw_first[row] + xw_step * t) * s->xw_distance;
    }
    UNROLLED_INLINE int64_t token(int64_t row) const { return s->first[row] + s->token_step * t; }
    UNROLLED_INLINE void store_h(int64_t row, int64_t u, int64_t n, V h_new) const {
        S::store(s->out + token(row) * s->out_stride + u, h_new, n);
        if (h_plain) {
            S::store(h_plain + row * distance + u, h_new);
            h_new = S::mul(h_new, S::load(s->h_mask + s->sequence[row] * s->hidden + u, n));
        }
        S::store(h_next + row * distance + u, h_new);
    }
};

// What a tile reads of the packed weights: columns from unit u on, and those of NB - 1 panels after them.
template <class P>
struct PanelAt {
    int64_t u;
    const typename P::Panel* panel;
    int64_t distance;
    const T* scales;
    const T* bias;
};

template <class P, int MR, int NV, int NB>
UNROLLED_INLINE void recurrent_product(V (&acc)[MR][NB * NV], const ForwardStep<P>& step, int64_t row, const PanelAt<P>& at) {
    typename P::Row rows[MR];
    UNROLLED_UNROLL
    for (int r = 0; r < MR; ++r) rows[r] = step.rows[row + r];
    tile_product<P, MR, NV, NB>(acc, rows, at.panel, at.distance, at.scales, at.bias, step.s->hidden);
}

template <class P, int NB = 1>
struct LstmTile {
    template <int MR>
    static void run(const ForwardStep<P>& step, const int64_t& row, const PanelAt<P>& at) {
        const ScanForward<T>& s = *step.s;
        const int64_t hidden = s.hidden;
        T* xw[MR];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            xw[r] = step.xw(row + r) + at.u;
            for (int g = 0; g < 4; ++g) UNROLLED_PREFETCH(xw[r] + g * hidden);
        }
        V acc[MR][NB * 4];
        recurrent_product<P, MR, 4, NB>(acc, step, row, at);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            UNROLLED_UNROLL
            for (int b = 0; b < NB; ++b) {
                const int64_t u = at.u + b * W, n = hidden - u;
                T* gates = xw[r] + b * W;
                const V i = S::sigmoid(S::add(acc[r][4 * b], S::load(gates, n)));
                const V f = S::sigmoid(S::add(acc[r][4 * b + 1], S::load(gates + hidden, n)));
                const V g = S::tanh(S::add(acc[r][4 * b + 2], S::load(gates + 2 * hidden, n)));
                const V o = S::sigmoid(S::add(acc[r][4 * b + 3], S::load(gates + 3 * hidden, n)));
                T* cell = step.c + (row + r) * step.distance + u;
                const V c = S::fma(f, S::load(cell), S::mul(i, g));
                S::store(cell, c);
                if (s.save) {
                    S::store(gates, i, n);
                    S::store(gates + hidden, f, n);
                    S::store(gates + 2 * hidden, g, n);
                    S::store(gates + 3 * hidden, o, n);
                    S::store(s.cells + step.token(row + r) * hidden + u, c, n);
                }
                step.store_h(row + r, u, n, S::mul(o, S::tanh(c)));
            }
        }
    }
};

template <class P, int NB = 1>
struct GruTile {
    template <int MR>
    static void run(const ForwardStep<P>& step, const int64_t& row, const PanelAt<P>& at) {
        const ScanForward<T>& s = *step.s;
        const int64_t hidden = s.hidden;
        T* xw[MR];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            xw[r] = step.xw(row + r) + at.u;
            for (int g = 0; g < 3; ++g) UNROLLED_PREFETCH(xw[r] + g * hidden);
        }
        V acc[MR][NB * 3];
        recurrent_product<P, MR, 3, NB>(acc, step, row, at);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            UNROLLED_UNROLL
            for (int b = 0; b < NB; ++b) {
                const int64_t u = at.u + b * W, n = hidden - u;
                T* gates = xw[r] + b * W;
                const V own = acc[r][3 * b + 2];
                const V reset = S::sigmoid(S::add(acc[r][3 * b], S::load(gates, n)));
                const V update = S::sigmoid(S::add(acc[r][3 * b + 1], S::load(gates + hidden, n)));
                const V candidate = S::tanh(S::fma(reset, own, S::load(gates + 2 * hidden, n)));
                const V h = S::load((step.h_plain ? step.h_plain : step.h) + (row + r) * step.distance + u);
                if (s.save) {
                    S::store(gates, reset, n);
                    S::store(gates + hidden, update, n);
                    S::store(gates + 2 * hidden, candidate, n);
                    S::store(s.cells + step.token(row + r) * hidden + u, own, n);
                }
                step.store_h(row + r, u, n, S::fma(update, S::sub(h, candidate), candidate));
            }
        }
    }
};

template <class P, int NV>
struct RnnTile {
    template <int MR>
    static void run(const ForwardStep<P>& step, const int64_t& row, const PanelAt<P>& at) {
        V acc[MR][NV];
        recurrent_product<P, MR, NV, 1>(acc, step, row, at);
        const bool relu = step.s->kind == Kind::rnn_relu;
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            const T* xw = step.xw(row + r) + at.u;
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) {
                const int64_t u = at.u + j * W, n = step.s->hidden - u;
                const V a = S::add(acc[r][j], S::load(xw + j * W, n));
                step.store_h(row + r, u, n, relu ? S::relu(a) : S::tanh(a));
            }
        }
    }
};

template <class Tile, class P, int NV>
void forward_panel(const ForwardStep<P>& step, int64_t active, const PanelAt<P>& at) {
    for_tiles(active, P::rows(NV), [&](int64_t row, int height) {
        with_height<Tile, P::rows(NV)>(height, step, row, at);
    });
}

// The gates of units begin..end, which are whole vectors.
template <class P, template <class, int> class Tile, int GATES>
void gate_panels(const ForwardStep<P>& step, int64_t active, PanelAt<P> at, int64_t end) {
    while (at.u < end) {
        const bool two = active == 1 && at.u + W < end;
        if (two) {
            Tile<P, 2>::template run<1>(step, 0, at);
        } else {
            forward_panel<Tile<P, 1>, P, GATES>(step, active, at);
        }
        const int64_t panels = two ? 2 : 1;
        at.u += panels * W;
        at.panel += panels * at.distance;
        at.bias += panels * GATES * W;
        at.scales += panels * GATES * W;
    }
}

template <class P>
void forward_step(const ForwardStep<P>& step, int64_t active, int64_t begin, int64_t end) {
    const ScanForward<T>& s = *step.s;
    const int gates = gate_count(s.kind);
    const int64_t panel = P::panel_size(s.hidden, gates), done = begin / W;
    PanelAt<P> at{begin, static_cast<const typename P::Panel*>(s.packed_w_hh), panel, s.scales_hh, s.packed_b_hh};
    if (gates > 1) {
        at.panel += done * panel;
        at.bias += done * gates * W;
        at.scales += done * gates * W;
        if (gates == 4) {
            gate_panels<P, LstmTile, 4>(step, active, at, end);
        } else {
            gate_panels<P, GruTile, 3>(step, active, at, end);
        }
        return;
    }
    const int64_t vectors = ceil_div(s.hidden, W);
    for (int64_t v = 0, nv; v < vectors; v += nv) {
        nv = panel_vectors(vectors, v);
        at.u = v * W;
        switch (nv) {
            case 4: forward_panel<RnnTile<P, 4>, P, 4>(step, active, at); break;
            case 3: forward_panel<RnnTile<P, 3>, P, 3>(step, active, at); break;
            case 2: forward_panel<RnnTile<P, 2>, P, 2>(step, active, at); break;
            default: forward_panel<RnnTile<P, 1>, P, 1>(step, active, at); break;
        }
        at.panel += P::panel_size(s.hidden, nv);
        at.bias += nv * W;
        at.scales += nv * W;
    }
}

// A block of rows of the input projection.
template <class P>
struct Projection {
    const typename P::Row* rows;
    int64_t k, n;
    T* const* c;
};

template <class P, int NV>
struct ProjectionTile {
    template <int MR>
    static void run(const Projection<P>& s, const int64_t& row, const PanelAt<P>& at) {
        typename P::Row rows[MR];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) rows[r] = s.rows[row + r];
        V acc[MR][NV];
        P::template product<MR, NV, 1>(acc, rows, at.panel, at.distance, at.scales, at.bias, s.k);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r)
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) S::store(s.c[row + r] + at.u + j * W, acc[r][j], s.n - at.u - j * W);
    }
};

template <class P, int NV>
void projection_panel(const Projection<P>& s, int64_t row, int64_t rows, const PanelAt<P>& at) {
    for_tiles(rows, P::rows(NV), [&](int64_t start, int height) {
        with_height<ProjectionTile<P, NV>, P::rows(NV)>(height, s, row + start, at);
    });
}

// All rows times the panels of this thread's share.
template <class P>
void project(const ScanForward<T>& s, const Projection<P>& p, int64_t count, int members) {
    const int64_t block = 96;  // rows that stay in the second-level cache while all panels pass
    const int64_t vectors = ceil_div(p.n, W), panels = ceil_div(vectors, kPanelVectors);
    const int64_t first = panels * s.member / members, last = panels * (s.member + 1) / members;
    for (int64_t row = 0; row < count; row += block) {
        const int64_t rows = count - row < block ? count - row : block;
        PanelAt<P> at{0, static_cast<const typename P::Panel*>(s.packed_w_ih), 0, s.scales_ih, s.packed_b_ih};
        int64_t index = 0;
        for (int64_t v = 0, nv; v < vectors; v += nv, ++index) {
            nv = panel_vectors(vectors, v);
            at.u = v * W;
            if (index >= first && index < last) {
                switch (nv) {
                    case 4: projection_panel<P, 4>(p, row, rows, at); break;
                    case 3: projection_panel<P, 3>(p, row, rows, at); break;
                    case 2: projection_panel<P, 2>(p, row, rows, at); break;
                    default: projection_panel<P, 1>(p, row, rows, at); break;
                }
            }
            at.panel += P::panel_size(p.k, nv);
            if (at.bias) at.bias += nv * W;
            at.scales += nv * W;
        }
    }
}

template <class P>
UNROLLED_INLINE typename P::Row as_row(const T* row, int64_t k, int64_t index, int16_t* quantised) {
    if constexpr (std::is_same<typename P::Row, const T*>::value) {
        return row;
    } else {
        return quantise(row, k, quantised + index * (k + k % 2));
    }
}

// The input projection of `chunk` steps from t on, for all sequences that are still running.
template <class P>
void project_chunk(const ScanForward<T>& s, int64_t t, int64_t active, int64_t* xw_first, typename P::Row* rows,
                   int members) {
    T** c = const_cast<T**>(s.row_pointers);
    int64_t count = 0;
    for (int64_t row = 0; row < active; ++row) {
        const int64_t end = s.length[row] < t + s.chunk ? s.length[row] : t + s.chunk;
        if (s.compact && s.member == 0) xw_first[row] = count - t;
        for (int64_t step = t; step < end; ++step, ++count) {
            const int64_t token = s.first[row] + s.token_step * step;
            const T* x = s.x + (s.lookup ? static_cast<int64_t>(s.lookup[token]) : token) * s.x_stride;
            rows[count] = as_row<P>(x, s.input, count, s.quantised);
            c[count] = s.xw + (s.compact ? count : token) * s.xw_distance;
        }
    }
    project<P>(s, {rows, s.input, gate_count(s.kind) * s.hidden, c}, count, members);
}

// The states before the first step.
void start_states(const ScanForward<T>& s, int64_t distance, T* h, T* h_plain, T* c, int64_t* xw_first) {
    const int64_t hidden = s.hidden;
    for (int64_t row = 0; row < s.rows; ++row) {
        const int64_t from = s.sequence[row] * hidden;
        xw_first[row] = s.first[row];
        for (int64_t u = 0; u < hidden; u += W) {
            const int64_t n = hidden - u;
            V start = s.h0 ? S::load(s.h0 + from + u, n) : S::zero();
            if (h_plain) {
                S::store(h_plain + row * distance + u, start);
                start = S::mul(start, S::load(s.h_mask + from + u, n));
            }
            S::store(h + row * distance + u, start);
            S::store(c + row * distance + u, s.c0 ? S::load(s.c0 + from + u, n) : S::zero());
        }
    }
}

// Members of a team share every step: each computes its own units, and they meet at its end.
template <class P>
void scan_forward_with(const ScanForward<T>& s) {
    const int64_t hidden = s.hidden;
    const int64_t distance = row_distance<T>(hidden);
    const int64_t size = s.rows * distance;
    T* states[2] = {s.state, s.state + size};
    T* c = states[1] + size;
    T* h_plain = s.h_mask ? c + size : nullptr;
    int64_t* xw_first = reinterpret_cast<int64_t*>(c + 2 * size);
    typename P::Row* rows = static_cast<typename P::Row*>(s.operands);
    int64_t t = 0;
    if (s.member == 0) {
        start_states(s, distance, states[0], h_plain, c, xw_first);
        if (s.team) s.team->finish(-1, 0, 1);
    } else {
        t = s.team->admission(s.member);
        if (t < 0) return;
    }
    ForwardStep<P> step{&s, 0, distance, nullptr, nullptr, h_plain, c, xw_first, s.compact ? 1 : s.token_step, rows};
    const int64_t vectors = ceil_div(hidden, W);
    int64_t active = s.rows;
    while (active > 0 && s.length[active - 1] <= t) --active;
    for (; active > 0; ++t) {
        const int members = s.team ? s.team->members(t) : 1;
        if (s.input > 0 && t % s.chunk == 0) {
            project_chunk<P>(s, t, active, xw_first, rows, members);
            if (s.team) s.team->wait(members);
        }
        step.t = t;
        step.h = states[t & 1];
        step.h_next = states[(t + 1) & 1];
        for (int64_t row = 0; row < active; ++row) rows[row] = as_row<P>(step.h + row * distance, hidden, row, s.quantised);
        const int64_t begin = vectors * s.member / members * W, end = vectors * (s.member + 1) / members * W;
        forward_step<P>(step, active, begin, end);
        for (; active > 0 && s.length[active - 1] == t + 1; --active) {
            const int64_t row = active - 1;
            const int64_t to = s.sequence[row] * hidden;
            const T* last = s.out + step.token(row) * s.out_stride;
            for (int64_t u = begin; u < end; u += W) {
                const int64_t n = hidden - u;
                S::store(s.h_n + to + u, S::load(last + u, n), n);
                if (s.c_n) S::store(s.c_n + to + u, S::load(c + row * distance + u), n);
            }
        }
        if (s.team) s.team->finish(t, s.member, members);
    }
    if (s.team && s.member == 0) s.team->close();
}

// A template, so that nothing reduced is compiled for float64.
template <class E>
void scan_forward_as(const ScanForward<E>& s) {
    if constexpr (sizeof(E) == sizeof(float)) {
        if (s.precision == Precision::bfloat16) return scan_forward_with<Bfloat16>(s);
        if (s.precision == Precision::int8) return scan_forward_with<Int8>(s);
    }
    scan_forward_with<Full>(s);
}

void scan_forward(const ScanForward<T>& s) { scan_forward_as(s); }
