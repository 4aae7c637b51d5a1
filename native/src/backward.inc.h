// The backward scan. Included once per instruction set after product.inc.h.

// dL/dh of one sequence from the steps after: dh (H) what the recurrent product gave back, carry (H) what went past it.
UNROLLED_INLINE V later_gradient(const ScanBackward<T>& s, int64_t row, const T* dh, const T* carry, int64_t u) {
    V d = S::load(dh + u);
    if (s.h_mask) d = S::mul(d, S::load(s.h_mask + s.sequence[row] * s.hidden + u, s.hidden - u));
    return carry ? S::add(d, S::load(carry + u)) : d;
}

// Gate gradients of one sequence at one step. The last step of a sequence (`ends`) has no step after it: d_h_n stands there.
void gate_gradients(const ScanBackward<T>& s, int64_t row, int64_t t, const T* dh, T* dc, T* carry) {
    const int64_t hidden = s.hidden;
    const int64_t token = s.first[row] + s.token_step * t;
    const int64_t previous = token - s.token_step;
    const T* d_out = s.d_out ? s.d_out + token * s.d_out_stride : nullptr;
    const T* out = s.out + token * s.out_stride;
    const T* gates = s.gates ? s.gates + token * gate_count(s.kind) * hidden : nullptr;
    const T* cells = s.cells ? s.cells + token * hidden : nullptr;
    T* d_xw = s.d_xw + token * gate_count(s.kind) * hidden;
    const V one = S::set(T(1));
    const bool ends = t + 1 == s.length[row];
    for (int64_t u = 0; u < hidden; u += W) {
        const int64_t n = hidden - u;
        V d = ends ? (s.d_h_n ? S::load(s.d_h_n + s.sequence[row] * hidden + u, n) : S::zero()) : later_gradient(s, row, dh, carry, u);
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
            S::store(carry + u, S::mul(d, z));
        } else {
            const V h = S::load(out + u, n);
            const V d_a = s.kind == Kind::rnn_relu ? S::where_positive(h, d) : S::mul(d, S::sub(one, S::mul(h, h)));
            S::store(d_xw + u, d_a, n);
        }
    }
}

void scan_backward(const ScanBackward<T>& s) {
    const int64_t hidden = s.hidden;
    const int64_t gh = gate_count(s.kind) * hidden;
    const int64_t distance = row_distance<T>(hidden);
    const bool gru = s.kind == Kind::gru;
    T* dh = s.state;
    T* dc = dh + s.rows * distance;
    T* carry = gru ? dc + s.rows * distance : nullptr;
    const T** a1 = s.row_pointers;
    const T** a2 = a1 + s.rows;
    T** c = const_cast<T**>(a2 + s.rows);
    for (int64_t row = 0; row < s.rows; ++row) {
        c[row] = dh + row * distance;
        for (int64_t u = 0; u < hidden; u += W) {
            S::store(dh + row * distance + u, S::zero());  // its lanes beyond the last unit are read
            S::store(dc + row * distance + u, s.d_c_n ? S::load(s.d_c_n + s.sequence[row] * hidden + u, hidden - u) : S::zero());
        }
    }
    Product<T> step{0, hidden, gru ? 2 * hidden : gh, gru ? hidden : 0, a1, a2, s.packed_w_hh, nullptr, c};
    for (int64_t t = s.rows > 0 ? s.length[0] - 1 : -1; t >= 0; --t) {
        while (step.rows < s.rows && s.length[step.rows] > t) ++step.rows;
        for (int64_t row = 0; row < step.rows; ++row) {
            gate_gradients(s, row, t, c[row], dc + row * distance, carry ? carry + row * distance : nullptr);
            const int64_t token = s.first[row] + s.token_step * t;
            a1[row] = s.d_xw + token * gh;
            if (gru) a2[row] = s.d_hn + token * hidden;
        }
        product(step);
    }
    for (int64_t row = 0; row < s.rows; ++row) {
        const int64_t to = s.sequence[row] * hidden;
        const T* past = carry ? carry + row * distance : nullptr;
        for (int64_t u = 0; u < hidden; u += W) {
            S::store(s.d_h0 + to + u, later_gradient(s, row, c[row], past, u), hidden - u);
            if (s.d_c0) S::store(s.d_c0 + to + u, S::load(dc + row * distance + u), hidden - u);
        }
    }
}
