// The arithmetic of word vectors. Included once per instruction set, which is `S`.

using V = S::V;
constexpr int W = S::width;

// R x K scalar products from registers. R * K accumulators, R vectors of x, one of w.
template <int R, int K>
UNROLLED_INLINE void scores_of(const Word2vecGroup& s, int c, float* out) {
    V sum[R][K];
    UNROLLED_UNROLL
    for (int r = 0; r < R; ++r) {
        UNROLLED_UNROLL
        for (int k = 0; k < K; ++k) sum[r][k] = S::zero();
    }
    for (int64_t u = 0; u < s.stride; u += W) {
        const int64_t n = s.stride - u;
        V x[R];
        UNROLLED_UNROLL
        for (int r = 0; r < R; ++r) x[r] = S::load(s.x[c + r] + u, n);
        UNROLLED_UNROLL
        for (int k = 0; k < K; ++k) {
            const V w = S::load(s.w[k] + u, n);
            UNROLLED_UNROLL
            for (int r = 0; r < R; ++r) sum[r][k] = S::fma(x[r], w, sum[r][k]);
        }
    }
    UNROLLED_UNROLL
    for (int r = 0; r < R; ++r) {
        UNROLLED_UNROLL
        for (int k = 0; k < K; ++k) out[r * K + k] = S::sum(sum[r][k]);
    }
}

// Both sides of the update for W columns: what is read of x and w is the state before it.
template <int K, bool FreshX, bool FreshW>
UNROLLED_INLINE void update_columns(const Word2vecGroup& s, int64_t u, int64_t n) {
    V old[K], now[K];
    UNROLLED_UNROLL
    for (int k = 0; k < K; ++k) {
        old[k] = S::load(s.w[k] + u, n);
        now[k] = FreshW ? S::zero() : S::load(s.to_w[k] + u, n);
    }
    const float* g = s.g;
    for (int c = 0; c < s.rows; ++c, g += K) {
        const V x = S::load(s.x[c] + u, n);
        V sum = FreshX ? S::zero() : S::load(s.to_x[c] + u, n);
        UNROLLED_UNROLL
        for (int k = 0; k < K; ++k) {
            const V coefficient = S::set(g[k]);
            sum = S::fma(coefficient, old[k], sum);
            now[k] = S::fma(coefficient, x, now[k]);
        }
        S::store(s.to_x[c] + u, sum, n);
    }
    UNROLLED_UNROLL
    for (int k = 0; k < K; ++k) S::store(s.to_w[k] + u, now[k], n);
}

// The same for one input vector, whose coefficients stay in registers.
template <int K, bool FreshX, bool FreshW>
UNROLLED_INLINE void update_single(const Word2vecGroup& s) {
    V g[K];
    UNROLLED_UNROLL
    for (int k = 0; k < K; ++k) g[k] = S::set(s.g[k]);
    for (int64_t u = 0; u < s.stride; u += W) {
        const int64_t n = s.stride - u;
        const V x = S::load(s.x[0] + u, n);
        V sum = FreshX ? S::zero() : S::load(s.to_x[0] + u, n);
        UNROLLED_UNROLL
        for (int k = 0; k < K; ++k) {
            sum = S::fma(g[k], S::load(s.w[k] + u, n), sum);
            const V before = FreshW ? S::zero() : S::load(s.to_w[k] + u, n);
            S::store(s.to_w[k] + u, S::fma(g[k], x, before), n);
        }
        S::store(s.to_x[0] + u, sum, n);
    }
}

template <int K, bool FreshX, bool FreshW>
void update(const Word2vecGroup& s) {
    if (s.rows == 1) {
        update_single<K, FreshX, FreshW>(s);
    } else {
        for (int64_t u = 0; u < s.stride; u += W) update_columns<K, FreshX, FreshW>(s, u, s.stride - u);
    }
}

template <int K>
void learn_count(Word2vecGroup& s) {
    int c = 0;
    for (; c + 2 <= s.rows; c += 2) scores_of<2, K>(s, c, s.g + c * K);
    if (c < s.rows) scores_of<1, K>(s, c, s.g + c * K);
    const int total = s.rows * K;
    const V rate = S::set(-s.rate);
    for (int i = 0; i < total; i += W) S::store(s.g + i, S::mul(rate, S::sigmoid(S::load(s.g + i))));
    for (int k = 0; k < K; ++k) {
        if (!s.label[k]) continue;
        for (int i = k; i < total; i += K) s.g[i] += s.rate;
    }
    if (s.fresh_w) return s.fresh_x ? update<K, true, true>(s) : update<K, false, true>(s);
    return s.fresh_x ? update<K, true, false>(s) : update<K, false, false>(s);
}

void learn(Word2vecGroup& s) {
    switch (s.count) {
        case 1: return learn_count<1>(s);
        case 2: return learn_count<2>(s);
        case 3: return learn_count<3>(s);
        case 4: return learn_count<4>(s);
        case 5: return learn_count<5>(s);
        default: return learn_count<6>(s);
    }
}

void add(float* to, const float* from, int64_t stride) {
    for (int64_t u = 0; u < stride; u += W)
        S::store(to + u, S::add(S::load(to + u, stride - u), S::load(from + u, stride - u)), stride - u);
}

void mean(float* out, const float* table, const int32_t* rows, int64_t count, float scale, int64_t stride) {
    const V factor = S::set(scale);
    for (int64_t u = 0; u < stride; u += W) {
        const int64_t n = stride - u;
        V sum = S::zero();
        for (int64_t i = 0; i < count; ++i) sum = S::add(sum, S::load(table + static_cast<int64_t>(rows[i]) * stride + u, n));
        S::store(out + u, S::mul(factor, sum), n);
    }
}

const Word2vecKernels kKernels = {&learn, &add, &mean};
