// Register-blocked products. Included once per instruction set, inside an anonymous namespace, after `using S = ...`.

using T = S::Scalar;
using V = S::V;
constexpr int W = S::width;
constexpr int kPanelVectors = 4;

// Rows of a register tile with NV vectors: accumulators, one broadcast and the loads must fit the register file.
constexpr int tile_rows(int nv) {
    return S::registers >= 32 ? (nv == 4 ? 6 : 8) : (nv == 4 ? 3 : 4);
}

// acc[r][j] += sum over k of a[r][k] * panel[k][j]. The order of summation is the same for every tile height, so that a
// row's result does not depend on its neighbours.
template <int MR, int NV>
UNROLLED_INLINE void accumulate(V (&acc)[MR][NV], const T* const (&a)[MR], const T* panel, int64_t k_count) {
    const T* rows[MR];
    UNROLLED_UNROLL
    for (int r = 0; r < MR; ++r) rows[r] = a[r];
    for (int64_t k = 0; k < k_count; ++k) {
        V b[NV];
        UNROLLED_UNROLL
        for (int j = 0; j < NV; ++j) b[j] = S::load(panel + j * W);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            const V x = S::set(rows[r][k]);
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) acc[r][j] = S::fma(x, b[j], acc[r][j]);
        }
        panel += NV * W;
    }
}

// Calls tile(first_row, height) with heights as equal as possible: 16 rows and a tile of 6 give 6, 5, 5, not 6, 6, 4.
template <class F>
UNROLLED_INLINE void for_tiles(int64_t rows, int tallest, F&& tile) {
    const int64_t count = ceil_div(rows, tallest);
    int64_t start = 0;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t height = (rows - start) / (count - i);
        const int64_t tall = (rows - start) % (count - i) ? height + 1 : height;
        tile(start, static_cast<int>(tall));
        start += tall;
    }
}

// Turns a run-time height 1..MAX into a template argument: F::template run<MR>(arguments...).
template <class F, int MAX, class... A>
UNROLLED_INLINE void with_height(int height, const A&... arguments) {
    if constexpr (MAX == 1) {
        F::template run<1>(arguments...);
    } else {
        if (height == MAX) {
            F::template run<MAX>(arguments...);
        } else {
            with_height<F, MAX - 1>(height, arguments...);
        }
    }
}

// ---- packing -------------------------------------------------------------------------------------------------------

void pack_gates(T* packed, const T* w_hh, int64_t hidden, int gates) {
    for (int64_t u = 0; u < hidden; u += W) {
        const int64_t n = hidden - u < W ? hidden - u : W;
        for (int g = 0; g < gates; ++g) {
            const T* source = w_hh + (g * hidden + u) * hidden;
            for (int64_t k = 0; k < hidden; ++k) {
                T* target = packed + (k * gates + g) * W;
                for (int64_t l = 0; l < n; ++l) target[l] = source[l * hidden + k];
                for (int64_t l = n; l < W; ++l) target[l] = T(0);
            }
        }
        packed += hidden * gates * W;
    }
}

void pack_gate_bias(T* packed, const T* bias, int64_t hidden, int gates) {
    for (int64_t u = 0; u < hidden; u += W)
        for (int g = 0; g < gates; ++g)
            for (int l = 0; l < W; ++l) *packed++ = bias && u + l < hidden ? bias[g * hidden + u + l] : T(0);
}

void pack_panel_part(T* packed, int nv, const T* w, int64_t ldw, int64_t column, int64_t columns, int64_t k_count,
                     bool transposed) {
    for (int j = 0; j < nv; ++j) {
        const int64_t first = column + j * W;
        const int64_t n = columns - first < W ? columns - first : W;
        for (int64_t k = 0; k < k_count; ++k) {
            T* target = packed + (k * nv + j) * W;
            if (transposed) {
                S::store(target, S::load(w + k * ldw + first, n));
            } else {
                for (int64_t l = 0; l < n; ++l) target[l] = w[(first + l) * ldw + k];
                for (int64_t l = n; l < W; ++l) target[l] = T(0);
            }
        }
    }
}

void pack_plain(T* packed, const T* w, int64_t ldw, int64_t columns, int64_t k, bool transposed, const T* w2, int64_t ldw2,
                int64_t k2) {
    const int64_t vectors = ceil_div(columns, W);
    for (int64_t v = 0; v < vectors; v += kPanelVectors) {
        const int nv = static_cast<int>(vectors - v < kPanelVectors ? vectors - v : kPanelVectors);
        pack_panel_part(packed, nv, w, ldw, v * W, columns, k, transposed);
        packed += k * nv * W;
        if (k2 > 0) pack_panel_part(packed, nv, w2, ldw2, v * W, columns, k2, transposed);
        packed += k2 * nv * W;
    }
}

// ---- rows times packed weights -------------------------------------------------------------------------------------

template <int NV>
struct ProductTile {
    template <int MR>
    static void run(const Product<T>& s, const int64_t& row, const int64_t& column, const T* const& panel) {
        const T* a[MR];
        V acc[MR][NV];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            a[r] = s.a1[row + r];
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) acc[r][j] = s.bias ? S::load(s.bias + column + j * W) : S::zero();
        }
        accumulate<MR, NV>(acc, a, panel, s.k1);
        if (s.k2 > 0) {
            UNROLLED_UNROLL
            for (int r = 0; r < MR; ++r) a[r] = s.a2[row + r];
            accumulate<MR, NV>(acc, a, panel + s.k1 * NV * W, s.k2);
        }
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r)
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) S::store(s.c[row + r] + column + j * W, acc[r][j], s.n - column - j * W);
    }
};

template <int NV>
void product_panel(const Product<T>& s, int64_t row, int64_t rows, int64_t column, const T* panel) {
    for_tiles(rows, tile_rows(NV), [&](int64_t start, int height) {
        with_height<ProductTile<NV>, tile_rows(NV)>(height, s, row + start, column, panel);
    });
}

void product(const Product<T>& s) {
    const int64_t block = 96;  // rows that stay in the second-level cache while all panels pass
    const int64_t vectors = ceil_div(s.n, W);
    for (int64_t row = 0; row < s.rows; row += block) {
        const int64_t rows = s.rows - row < block ? s.rows - row : block;
        const T* panel = s.panels;
        for (int64_t v = 0; v < vectors; v += kPanelVectors) {
            const int nv = static_cast<int>(vectors - v < kPanelVectors ? vectors - v : kPanelVectors);
            switch (nv) {
                case 4: product_panel<4>(s, row, rows, v * W, panel); break;
                case 3: product_panel<3>(s, row, rows, v * W, panel); break;
                case 2: product_panel<2>(s, row, rows, v * W, panel); break;
                default: product_panel<1>(s, row, rows, v * W, panel); break;
            }
            panel += (s.k1 + s.k2) * nv * W;
        }
    }
}

// ---- sum over tokens of outer products -----------------------------------------------------------------------------

constexpr int kOuterRows = tile_rows(4);
constexpr int64_t kOuterTokens = 128;  // tokens of one block: a right panel of them fits the first-level cache

// Distance between left panels. The odd number of cache lines spreads them over the sets of the cache, since one token
// writes to all of them.
constexpr int64_t kLeftPanel = (kOuterTokens * kOuterRows * int64_t(sizeof(T)) / 64 / 2 * 2 + 1) * 64 / int64_t(sizeof(T));
static_assert(kLeftPanel >= kOuterTokens * kOuterRows, "a left panel holds all tokens of a block");

int64_t outer_scratch(int64_t m, int64_t n) {
    return ceil_div(m, kOuterRows) * kLeftPanel + kOuterTokens * ceil_div(n, W) * W;
}

template <int NV>
struct OuterTile {
    template <int MR>
    static void run(const T* const& a, const T* const& b, const int64_t& tokens, T* const& c, const int64_t& ldc,
                    const int64_t& columns, const bool& first) {
        V acc[MR][NV];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r)
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) acc[r][j] = first ? S::zero() : S::load(c + r * ldc + j * W, columns - j * W);
        const T* left = a;
        const T* right = b;
        for (int64_t k = 0; k < tokens; ++k) {
            V w[NV];
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) w[j] = S::load(right + j * W);
            UNROLLED_UNROLL
            for (int r = 0; r < MR; ++r) {
                const V x = S::set(left[r]);
                UNROLLED_UNROLL
                for (int j = 0; j < NV; ++j) acc[r][j] = S::fma(x, w[j], acc[r][j]);
            }
            left += kOuterRows;
            right += NV * W;
        }
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r)
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) S::store(c + r * ldc + j * W, acc[r][j], columns - j * W);
    }
};

void outer(const Outer<T>& s) {
    const int64_t m = s.m1 - s.m0;
    const int64_t m_panels = ceil_div(m, kOuterRows);
    const int64_t vectors = ceil_div(s.n, W);
    T* packed_b = s.scratch;
    T* packed_a = s.scratch + kOuterTokens * vectors * W;
    if (s.sums)
        for (int64_t i = 0; i < m; ++i) s.sums[i] = T(0);
    if (s.tokens == 0)
        for (int64_t i = 0; i < m * s.n; ++i) s.c[i] = T(0);
    for (int64_t start = 0; start < s.tokens; start += kOuterTokens) {
        const int64_t tokens = s.tokens - start < kOuterTokens ? s.tokens - start : kOuterTokens;
        for (int64_t k = 0; k < tokens; ++k) {
            const T* source = s.b[start + k];
            for (int64_t v = 0; v < vectors; ++v) {
                const int64_t base = v / kPanelVectors * kPanelVectors;
                const int64_t nv = vectors - base < kPanelVectors ? vectors - base : kPanelVectors;
                S::store(packed_b + base * W * tokens + (k * nv + v - base) * W, S::load(source + v * W, s.n - v * W));
            }
        }
        for (int64_t k = 0; k < tokens; ++k) {
            const T* source = s.a[start + k] + s.m0;
            // The rows are pieces of longer ones, which the processor's own prefetching follows badly.
            const T* ahead = s.a[start + k + 4 < s.tokens ? start + k + 4 : start + k] + s.m0;
            T* target = packed_a + k * kOuterRows;
            int64_t i = 0;
            for (; i + kOuterRows <= m; i += kOuterRows, target += kLeftPanel) {
                UNROLLED_PREFETCH(ahead + i);
                std::memcpy(target, source + i, kOuterRows * sizeof(T));
            }
            for (int r = 0; i + r < m; ++r) target[r] = source[i + r];
            if (s.sums) {
                for (i = 0; i < m; i += W) S::store(s.sums + i, S::add(S::load(s.sums + i, m - i), S::load(source + i, m - i)), m - i);
            }
        }
        const bool fresh = start == 0;
        for (int64_t v = 0; v < vectors; v += kPanelVectors) {
            const int nv = static_cast<int>(vectors - v < kPanelVectors ? vectors - v : kPanelVectors);
            const T* b = packed_b + v * W * tokens;
            const int64_t columns = s.n - v * W;
            for (int64_t p = 0; p < m_panels; ++p) {
                const int height = static_cast<int>(m - p * kOuterRows < kOuterRows ? m - p * kOuterRows : kOuterRows);
                const T* a = packed_a + p * kLeftPanel;
                T* c = s.c + p * kOuterRows * s.n + v * W;
                switch (nv) {
                    case 4: with_height<OuterTile<4>, kOuterRows>(height, a, b, tokens, c, s.n, columns, fresh); break;
                    case 3: with_height<OuterTile<3>, kOuterRows>(height, a, b, tokens, c, s.n, columns, fresh); break;
                    case 2: with_height<OuterTile<2>, kOuterRows>(height, a, b, tokens, c, s.n, columns, fresh); break;
                    default: with_height<OuterTile<1>, kOuterRows>(height, a, b, tokens, c, s.n, columns, fresh); break;
                }
            }
        }
    }
}
