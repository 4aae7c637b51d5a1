// The scans of a linear-chain CRF. Included once per instruction set, which is `S`.

using V = S::V;
constexpr int W = S::width;
static_assert(kCrfRound % W == 0 && kCrfRound % 4 == 0, "rows are whole vectors, and whole tiles of pairs()");

// exp(x) for x <= 0, to a unit in the last place or two; NaN stays NaN. Below -700, which is far below kCrfLeast, it is
// exp(-700), so that only -inf gives 0. exp(x) = 2^n exp(r) with |r| <= ln(2) / 2: Taylor's series to r^13 is exact there.
UNROLLED_INLINE V exponential(V x) {
    const V magic = S::set(6755399441055744.0);  // 1.5 * 2^52: adding it rounds to the nearest integer
    const V y = S::max(S::set(-700.0), x);
    const V shifted = S::fma(y, S::set(1.4426950408889634), magic);
    const V n = S::sub(shifted, magic);
    V r = S::fma(n, S::set(-6.93147180369123816490e-01), y);  // ln(2) in two parts, the first with zeros at its end
    r = S::fma(n, S::set(-1.90821492927058770002e-10), r);
    V p = S::set(1.0 / 6227020800);
    p = S::fma(p, r, S::set(1.0 / 479001600));
    p = S::fma(p, r, S::set(1.0 / 39916800));
    p = S::fma(p, r, S::set(1.0 / 3628800));
    p = S::fma(p, r, S::set(1.0 / 362880));
    p = S::fma(p, r, S::set(1.0 / 40320));
    p = S::fma(p, r, S::set(1.0 / 5040));
    p = S::fma(p, r, S::set(1.0 / 720));
    p = S::fma(p, r, S::set(1.0 / 120));
    p = S::fma(p, r, S::set(1.0 / 24));
    p = S::fma(p, r, S::set(1.0 / 6));
    p = S::fma(p, r, S::set(0.5));
    p = S::fma(p, r, S::set(1.0));
    p = S::fma(p, r, S::set(1.0));
    return S::select_greater(S::set(-1e300), x, S::zero(), S::scale_bits(p, shifted));
}

UNROLLED_INLINE V least_positive(V least, V x) {
    return S::min(least, S::select_greater(x, S::zero(), x, S::set(1.0)));
}

void exponentials_from(double* x, int64_t rows, int64_t width, double shift, double* least) {
    V smallest = S::set(*least);
    for (double* const end = x + rows * width; x < end; x += W) {
        const V y = exponential(S::sub(S::load(x), S::set(shift)));
        S::store(x, y);
        smallest = least_positive(smallest, y);
    }
    *least = S::least(smallest);
}

double exponentials(double* x, int64_t rows, int64_t width, double* largest, double* least) {
    double sum = 0;
    V smallest = S::set(*least);
    for (int64_t t = 0; t < rows; ++t, x += width) {
        V most = S::load(x);
        for (int64_t u = W; u < width; u += W) most = S::max(most, S::load(x + u));
        double shift = S::largest(most);
        if (shift < -1e300) shift = 0;
        if (largest) largest[t] = shift;
        sum += shift;
        for (int64_t u = 0; u < width; u += W) {
            const V y = exponential(S::sub(S::load(x + u), S::set(shift)));
            S::store(x + u, y);
            smallest = least_positive(smallest, y);
        }
    }
    *least = S::least(smallest);
    return sum;
}

// N vectors of out = (x m), times factor if there is one. Two chains of sums, since one waits for its latency.
template <int N, bool Factor>
UNROLLED_INLINE V product_columns(const double* x, const double* m, int64_t tags, int64_t width, const double* factor,
                                  double* out, V most) {
    V even[N], odd[N];
    UNROLLED_UNROLL
    for (int j = 0; j < N; ++j) even[j] = odd[j] = S::zero();
    int64_t a = 0;
    for (; a + 1 < tags; a += 2, m += 2 * width) {
        const V one = S::set(x[a]), other = S::set(x[a + 1]);
        UNROLLED_UNROLL
        for (int j = 0; j < N; ++j) {
            even[j] = S::fma(one, S::load(m + j * W), even[j]);
            odd[j] = S::fma(other, S::load(m + width + j * W), odd[j]);
        }
    }
    if (a < tags) {
        UNROLLED_UNROLL
        for (int j = 0; j < N; ++j) even[j] = S::fma(S::set(x[a]), S::load(m + j * W), even[j]);
    }
    UNROLLED_UNROLL
    for (int j = 0; j < N; ++j) {
        V y = S::add(even[j], odd[j]);
        if constexpr (Factor) y = S::mul(y, S::load(factor + j * W));
        S::store(out + j * W, y);
        most = S::max(most, y);
    }
    return most;
}

// out (width,) = (x (tags,) m (tags, width)), elementwise times factor (width,). Returns the largest of out.
template <bool Factor>
UNROLLED_INLINE double product(const double* x, const double* m, int64_t tags, int64_t width, const double* factor, double* out) {
    V most = S::zero();
    for (int64_t u = 0; u < width;) {
        const double* const f = Factor ? factor + u : nullptr;
        switch ((width - u) / W) {
            case 1: most = product_columns<1, Factor>(x, m + u, tags, width, f, out + u, most); u += W; break;
            case 2: most = product_columns<2, Factor>(x, m + u, tags, width, f, out + u, most); u += 2 * W; break;
            case 3: most = product_columns<3, Factor>(x, m + u, tags, width, f, out + u, most); u += 3 * W; break;
            case 4: most = product_columns<4, Factor>(x, m + u, tags, width, f, out + u, most); u += 4 * W; break;
            case 5: most = product_columns<5, Factor>(x, m + u, tags, width, f, out + u, most); u += 5 * W; break;
            default: most = product_columns<6, Factor>(x, m + u, tags, width, f, out + u, most); u += 6 * W; break;
        }
    }
    return S::largest(most);
}

// 2^-k for x in [2^k, 2^(k + 1)), x >= 0; k is added to `exponent`.
UNROLLED_INLINE double inverse_power(double x, int64_t& exponent) {
    int64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    int64_t biased = (bits >> 52) & 0x7FF;
    if (biased > 2045) biased = 2045;  // NaN stays NaN, whatever it is multiplied by
    exponent += biased - 1023;
    bits = (2046 - biased) << 52;
    std::memcpy(&x, &bits, sizeof bits);
    return x;
}

UNROLLED_INLINE V scale_row(double* x, int64_t width, double factor, V least) {
    for (int64_t u = 0; u < width; u += W) {
        const V y = S::mul(S::load(x + u), S::set(factor));
        S::store(x + u, y);
        least = least_positive(least, y);
    }
    return least;
}

UNROLLED_INLINE double dot(const double* x, const double* y, int64_t width) {
    V sum = S::zero();
    for (int64_t u = 0; u < width; u += W) sum = S::fma(S::load(x + u), S::load(y + u), sum);
    return S::sum(sum);
}

void forward(CrfScan& s) {
    V least = S::set(s.least);
    double* alpha = s.alpha;
    std::memcpy(alpha, s.emission, static_cast<size_t>(s.width) * sizeof(double));
    for (int64_t t = 1; t < s.steps; ++t, alpha += s.width) {
        const double most = product<true>(alpha, s.onward, s.tags, s.width, s.emission + t * s.width, alpha + s.width);
        least = scale_row(alpha + s.width, s.width, inverse_power(most, s.exponent), least);
    }
    s.total = dot(alpha, s.end, s.width);
    s.least = S::least(least);
}

void backward(CrfScan& s, double weight) {
    const int64_t width = s.width;
    V least = S::set(s.least);
    double* const beta = s.beta;
    std::memcpy(beta, s.end, static_cast<size_t>(width) * sizeof(double));
    double scaled = 1;  // beta is the exact product times this
    int64_t ignored = 0;
    for (int64_t t = s.steps - 1;; --t) {
        double *alpha = s.alpha + t * width, *emission = s.emission + t * width, *posterior = s.posterior + t * width;
        const V share = S::set(weight / dot(alpha, beta, width)), to_pairs = S::mul(share, S::set(scaled));
        for (int64_t u = 0; u < width; u += W) {
            const V a = S::load(alpha + u), b = S::load(beta + u);
            S::store(posterior + u, S::mul(S::mul(a, b), share));
            S::store(alpha + u, S::mul(a, to_pairs));
            S::store(emission + u, S::mul(S::load(emission + u), b));
        }
        if (t == 0) break;
        scaled = inverse_power(product<false>(emission, s.back, s.tags, width, nullptr, beta), ignored);
        least = scale_row(beta, width, scaled, least);
    }
    s.least = S::least(least);
}

// Four rows of N vectors of the sum of outer products.
template <int N>
UNROLLED_INLINE void pairs_tile(const CrfScan& s, int64_t a, int64_t b, double* out) {
    V sum[4][N];
    UNROLLED_UNROLL
    for (int r = 0; r < 4; ++r) {
        UNROLLED_UNROLL
        for (int j = 0; j < N; ++j) sum[r][j] = S::load(out + (a + r) * s.width + b + j * W);
    }
    const double *left = s.alpha + a, *right = s.emission + s.width + b;
    for (int64_t t = 1; t < s.steps; ++t, left += s.width, right += s.width) {
        V v[N];
        UNROLLED_UNROLL
        for (int j = 0; j < N; ++j) v[j] = S::load(right + j * W);
        UNROLLED_UNROLL
        for (int r = 0; r < 4; ++r) {
            const V x = S::set(left[r]);
            UNROLLED_UNROLL
            for (int j = 0; j < N; ++j) sum[r][j] = S::fma(x, v[j], sum[r][j]);
        }
    }
    UNROLLED_UNROLL
    for (int r = 0; r < 4; ++r) {
        UNROLLED_UNROLL
        for (int j = 0; j < N; ++j) S::store(out + (a + r) * s.width + b + j * W, sum[r][j]);
    }
}

void pairs(const CrfScan& s, double* out) {
    for (int64_t a = 0; a < s.tags; a += 4) {
        for (int64_t b = 0; b < s.width;) {
            switch ((s.width - b) / W) {
                case 1: pairs_tile<1>(s, a, b, out); b += W; break;
                case 2: pairs_tile<2>(s, a, b, out); b += 2 * W; break;
                default: pairs_tile<3>(s, a, b, out); b += 3 * W; break;
            }
        }
    }
}

template <int N>
UNROLLED_INLINE void best_columns(const double* before, const double* m, int64_t tags, int64_t width, double* out) {
    V most[N];
    UNROLLED_UNROLL
    for (int j = 0; j < N; ++j) most[j] = S::add(S::set(before[0]), S::load(m + j * W));
    for (int64_t a = 1; a < tags; ++a) {
        m += width;
        const V x = S::set(before[a]);
        UNROLLED_UNROLL
        for (int j = 0; j < N; ++j) most[j] = S::max(most[j], S::add(x, S::load(m + j * W)));
    }
    UNROLLED_UNROLL
    for (int j = 0; j < N; ++j) S::store(out + j * W, S::add(most[j], S::load(out + j * W)));
}

void best(double* scores, const double* m, int64_t steps, int64_t tags, int64_t width) {
    for (int64_t t = 1; t < steps; ++t, scores += width) {
        double* const out = scores + width;
        for (int64_t u = 0; u < width;) {
            switch ((width - u) / W) {
                case 1: best_columns<1>(scores, m + u, tags, width, out + u); u += W; break;
                case 2: best_columns<2>(scores, m + u, tags, width, out + u); u += 2 * W; break;
                case 3: best_columns<3>(scores, m + u, tags, width, out + u); u += 3 * W; break;
                default: best_columns<4>(scores, m + u, tags, width, out + u); u += 4 * W; break;
            }
        }
    }
}

const CrfKernels kKernels = {&exponentials, &exponentials_from, &forward, &backward, &pairs, &best};
