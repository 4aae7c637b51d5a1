// The forward scan. Included once per instruction set after product.inc.h.

// The state of one time step, shared by its tiles.
struct ForwardStep {
    const ScanForward<T>* s;
    int64_t t;
    int64_t padded;             // row stride of the compact states
    const T* h;                 // (rows, padded) masked h_{t-1}: left operand of the product
    T* h_next;                  // (rows, padded)
    T* h_plain;                 // (rows, padded) h without mask; null without mask
    T* c;                       // (rows, padded) LSTM cell state, updated in place
    const int64_t* xw_first;    // (rows,) row of xw at step 0
    int64_t xw_step;

    UNROLLED_INLINE T* xw(int64_t row) const {
        return s->xw + (xw_first[row] + xw_step * t) * s->xw_distance;
    }
    UNROLLED_INLINE int64_t token(int64_t row) const { return s->first[row] + s->token_step * t; }
    UNROLLED_INLINE void store_h(int64_t row, int64_t u, int64_t n, V h_new) const {
        S::store(s->out + token(row) * s->out_stride + u, h_new, n);
        if (h_plain) {
            S::store(h_plain + row * padded + u, h_new);
            h_new = S::mul(h_new, S::load(s->h_mask + s->sequence[row] * s->hidden + u, n));
        }
        S::store(h_next + row * padded + u, h_new);
    }
};

template <int MR, int NV>
UNROLLED_INLINE void recurrent_product(V (&acc)[MR][NV], const ForwardStep& step, int64_t row, const T* bias, const T* panel) {
    const T* a[MR];
    UNROLLED_UNROLL
    for (int r = 0; r < MR; ++r) a[r] = step.h + (row + r) * step.padded;
    biased_product<MR, NV>(acc, a, bias, panel, step.s->hidden);
}

struct LstmTile {
    template <int MR>
    static void run(const ForwardStep& step, const int64_t& row, const int64_t& u, const T* const& bias, const T* const& panel) {
        const ScanForward<T>& s = *step.s;
        const int64_t hidden = s.hidden;
        const int64_t n = hidden - u;
        T* xw[MR];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            xw[r] = step.xw(row + r) + u;
            for (int g = 0; g < 4; ++g) UNROLLED_PREFETCH(xw[r] + g * hidden);
        }
        V acc[MR][4];
        recurrent_product<MR, 4>(acc, step, row, bias, panel);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            const V i = S::sigmoid(S::add(acc[r][0], S::load(xw[r], n)));
            const V f = S::sigmoid(S::add(acc[r][1], S::load(xw[r] + hidden, n)));
            const V g = S::tanh(S::add(acc[r][2], S::load(xw[r] + 2 * hidden, n)));
            const V o = S::sigmoid(S::add(acc[r][3], S::load(xw[r] + 3 * hidden, n)));
            T* cell = step.c + (row + r) * step.padded + u;
            const V c = S::fma(f, S::load(cell), S::mul(i, g));
            S::store(cell, c);
            if (s.save) {
                S::store(xw[r], i, n);
                S::store(xw[r] + hidden, f, n);
                S::store(xw[r] + 2 * hidden, g, n);
                S::store(xw[r] + 3 * hidden, o, n);
                S::store(s.cells + step.token(row + r) * hidden + u, c, n);
            }
            step.store_h(row + r, u, n, S::mul(o, S::tanh(c)));
        }
    }
};

struct GruTile {
    template <int MR>
    static void run(const ForwardStep& step, const int64_t& row, const int64_t& u, const T* const& bias, const T* const& panel) {
        const ScanForward<T>& s = *step.s;
        const int64_t hidden = s.hidden;
        const int64_t n = hidden - u;
        T* xw[MR];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            xw[r] = step.xw(row + r) + u;
            for (int g = 0; g < 3; ++g) UNROLLED_PREFETCH(xw[r] + g * hidden);
        }
        V acc[MR][3];
        recurrent_product<MR, 3>(acc, step, row, bias, panel);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            const V reset = S::sigmoid(S::add(acc[r][0], S::load(xw[r], n)));
            const V update = S::sigmoid(S::add(acc[r][1], S::load(xw[r] + hidden, n)));
            const V candidate = S::tanh(S::fma(reset, acc[r][2], S::load(xw[r] + 2 * hidden, n)));
            const V h = S::load((step.h_plain ? step.h_plain : step.h) + (row + r) * step.padded + u);
            if (s.save) {
                S::store(xw[r], reset, n);
                S::store(xw[r] + hidden, update, n);
                S::store(xw[r] + 2 * hidden, candidate, n);
                S::store(s.cells + step.token(row + r) * hidden + u, acc[r][2], n);
            }
            step.store_h(row + r, u, n, S::fma(update, S::sub(h, candidate), candidate));
        }
    }
};

template <int NV>
struct RnnTile {
    template <int MR>
    static void run(const ForwardStep& step, const int64_t& row, const int64_t& u, const T* const& bias, const T* const& panel) {
        V acc[MR][NV];
        recurrent_product<MR, NV>(acc, step, row, bias, panel);
        const bool relu = step.s->kind == Kind::rnn_relu;
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            const T* xw = step.xw(row + r) + u;
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) {
                const int64_t n = step.s->hidden - u - j * W;
                const V a = S::add(acc[r][j], S::load(xw + j * W, n));
                step.store_h(row + r, u + j * W, n, relu ? S::relu(a) : S::tanh(a));
            }
        }
    }
};

template <class Tile, int NV>
void forward_panel(const ForwardStep& step, int64_t active, int64_t u, const T* bias, const T* panel) {
    for_tiles(active, tile_rows(NV), [&](int64_t row, int height) {
        with_height<Tile, tile_rows(NV)>(height, step, row, u, bias, panel);
    });
}

void forward_step(const ForwardStep& step, int64_t active) {
    const ScanForward<T>& s = *step.s;
    const T* panel = s.packed_w_hh;
    const T* bias = s.packed_b_hh;
    const int64_t vectors = ceil_div(s.hidden, W);
    const int gates = gate_count(s.kind);
    if (gates > 1) {
        for (int64_t u = 0; u < s.hidden; u += W) {
            if (gates == 4) {
                forward_panel<LstmTile, 4>(step, active, u, bias, panel);
            } else {
                forward_panel<GruTile, 3>(step, active, u, bias, panel);
            }
            panel += s.hidden * gates * W;
            bias += gates * W;
        }
        return;
    }
    for (int64_t v = 0, nv; v < vectors; v += nv) {
        nv = panel_vectors(vectors, v);
        switch (nv) {
            case 4: forward_panel<RnnTile<4>, 4>(step, active, v * W, bias, panel); break;
            case 3: forward_panel<RnnTile<3>, 3>(step, active, v * W, bias, panel); break;
            case 2: forward_panel<RnnTile<2>, 2>(step, active, v * W, bias, panel); break;
            default: forward_panel<RnnTile<1>, 1>(step, active, v * W, bias, panel); break;
        }
        panel += s.hidden * nv * W;
        bias += nv * W;
    }
}

// The input projection of `chunk` steps from t on, for all sequences that are still running.
void project_chunk(const ScanForward<T>& s, int64_t t, int64_t active, int64_t* xw_first) {
    const int64_t gh = gate_count(s.kind) * s.hidden;
    const T** a = s.row_pointers;
    T** c = const_cast<T**>(s.row_pointers) + s.rows * s.chunk;
    int64_t count = 0;
    for (int64_t row = 0; row < active; ++row) {
        const int64_t end = s.length[row] < t + s.chunk ? s.length[row] : t + s.chunk;
        if (s.compact) xw_first[row] = count - t;
        for (int64_t step = t; step < end; ++step, ++count) {
            const int64_t token = s.first[row] + s.token_step * step;
            a[count] = s.x + (s.lookup ? static_cast<int64_t>(s.lookup[token]) : token) * s.x_stride;
            c[count] = s.xw + (s.compact ? count : token) * s.xw_distance;
        }
    }
    product(Product<T>{count, gh, s.input, 0, a, nullptr, s.packed_w_ih, s.packed_b_ih, c});
}

void scan_forward(const ScanForward<T>& s) {
    const int64_t hidden = s.hidden;
    const int64_t padded = row_distance<T>(hidden);
    const int64_t size = s.rows * padded;
    T* h = s.state;
    T* h_next = h + size;
    T* c = h_next + size;
    T* h_plain = s.h_mask ? c + size : nullptr;
    int64_t* xw_first = reinterpret_cast<int64_t*>(c + 2 * size);
    for (int64_t row = 0; row < s.rows; ++row) {
        const int64_t from = s.sequence[row] * hidden;
        xw_first[row] = s.first[row];
        for (int64_t u = 0; u < padded; u += W) {
            const int64_t n = hidden - u;
            V start = s.h0 ? S::load(s.h0 + from + u, n) : S::zero();
            if (h_plain) {
                S::store(h_plain + row * padded + u, start);
                start = S::mul(start, S::load(s.h_mask + from + u, n));
            }
            S::store(h + row * padded + u, start);
            S::store(c + row * padded + u, s.c0 ? S::load(s.c0 + from + u, n) : S::zero());
        }
    }
    ForwardStep step{&s, 0, padded, h, h_next, h_plain, c, xw_first, s.compact ? 1 : s.token_step};
    int64_t active = s.rows;
    for (int64_t t = 0; active > 0; ++t) {
        if (s.input > 0 && t % s.chunk == 0) project_chunk(s, t, active, xw_first);
        step.t = t;
        forward_step(step, active);
        for (; active > 0 && s.length[active - 1] == t + 1; --active) {
            const int64_t row = active - 1;
            const int64_t to = s.sequence[row] * hidden;
            const T* last = s.out + step.token(row) * s.out_stride;
            for (int64_t u = 0; u < hidden; u += W) {
                const int64_t n = hidden - u;
                S::store(s.h_n + to + u, S::load(last + u, n), n);
                if (s.c_n) S::store(s.c_n + to + u, S::load(c + row * padded + u), n);
            }
        }
        const T* previous = step.h;
        step.h = step.h_next;
        step.h_next = const_cast<T*>(previous);
    }
}
