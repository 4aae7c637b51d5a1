// Register-blocked products. Included once per instruction set, inside an anonymous namespace, after `using S = ...`.

using T = S::Scalar;
using V = S::V;
constexpr int W = S::width;
constexpr int kPanelVectors = 4;

// Rows of a register tile with NV vectors: accumulators, one broadcast and the loads must fit the register file.
constexpr int tile_rows(int nv) {
    if (S::registers >= 32) return nv == 4 ? 6 : 8;
    return nv == 4 ? 3 : 4;
}

// Vectors of the panel that begins at vector v, of `vectors` in all: as equal as possible, since a narrow panel leaves the
// processor waiting for its few sums. 13 make 4, 3, 3, 3.
UNROLLED_INLINE int panel_vectors(int64_t vectors, int64_t v) {
    const int64_t panels = ceil_div(vectors, kPanelVectors), narrow = vectors / panels, wide = vectors % panels;
    return static_cast<int>(v < wide * (narrow + 1) ? narrow + 1 : narrow);
}

// acc[r][j] += x[r] * b[j], the left side given by left(r), the right side in memory. The loop over the longer side is
// the outer one, so that its operands take turns in one register: a tile of 12 accumulators then fits 16 registers.
template <int MR, int NV, class F>
UNROLLED_INLINE void multiply_add(V (&acc)[MR][NV], const F& left, const T* right) {
    if constexpr (MR < NV) {
        V x[MR];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) x[r] = S::set(left(r));
        UNROLLED_UNROLL
        for (int j = 0; j < NV; ++j) {
            const V b = S::load(right + j * W);
            UNROLLED_UNROLL
            for (int r = 0; r < MR; ++r) acc[r][j] = S::fma(x[r], b, acc[r][j]);
        }
    } else {
        V b[NV];
        UNROLLED_UNROLL
        for (int j = 0; j < NV; ++j) b[j] = S::load(right + j * W);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            const V x = S::set(left(r));
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) acc[r][j] = S::fma(x, b[j], acc[r][j]);
        }
    }
}

// acc[r][j] += sum over k of a[r][k] * panel[k][j]. The order of summation is the same for every tile height, so that a
// row's result does not depend on its neighbours.
template <int MR, int NV>
UNROLLED_INLINE void accumulate(V (&acc)[MR][NV], const T* const (&a)[MR], const T* panel, int64_t k_count) {
    const T* rows[MR];
    UNROLLED_UNROLL
    for (int r = 0; r < MR; ++r) rows[r] = a[r];
    for (int64_t k = 0; k < k_count; ++k, panel += NV * W)
        multiply_add<MR, NV>(acc, [&](int r) { return rows[r][k]; }, panel);
}

// Every row's sums begin with the bias; null for zeros.
template <int MR, int NV>
UNROLLED_INLINE void start_at(V (&acc)[MR][NV], const T* bias) {
    UNROLLED_UNROLL
    for (int r = 0; r < MR; ++r) {
        UNROLLED_UNROLL
        for (int j = 0; j < NV; ++j) acc[r][j] = bias ? S::load(bias + j * W) : S::zero();
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
    for (int64_t v = 0, nv; v < vectors; v += nv) {
        nv = panel_vectors(vectors, v);
        pack_panel_part(packed, static_cast<int>(nv), w, ldw, v * W, columns, k, transposed);
        packed += k * nv * W;
        if (k2 > 0) pack_panel_part(packed, static_cast<int>(nv), w2, ldw2, v * W, columns, k2, transposed);
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
        for (int r = 0; r < MR; ++r) a[r] = s.a1[row + r];
        start_at<MR, NV>(acc, s.bias ? s.bias + column : nullptr);
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
        for (int64_t v = 0, nv; v < vectors; v += nv) {
            nv = panel_vectors(vectors, v);
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

// Columns of the left side that are copied together: whole tiles and whole vectors.
constexpr int kLeftColumns = kOuterRows % 2 == 0 ? W * kOuterRows / 2 : W * kOuterRows;
static_assert(kLeftColumns % kOuterRows == 0 && kLeftColumns % W == 0, "a block holds whole tiles and whole vectors");

// Distance between left blocks. The odd number of cache lines spreads them over the sets of the cache, since one token
// writes to all of them.
constexpr int64_t kLeftBlock = row_distance<T>(kOuterTokens * kLeftColumns);

int64_t outer_scratch(int64_t m, int64_t n) {
    return ceil_div(m, kLeftColumns) * kLeftBlock + kOuterTokens * ceil_div(n, W) * W;
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
        for (int64_t k = 0; k < tokens; ++k, left += kLeftColumns, right += NV * W)
            multiply_add<MR, NV>(acc, [&](int r) { return left[r]; }, right);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r)
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) S::store(c + r * ldc + j * W, acc[r][j], columns - j * W);
    }
};

// Copies one token's columns of the left side into their blocks.
UNROLLED_INLINE void pack_left(T* target, const T* source, int64_t m) {
    int64_t i = 0;
    for (; i + kLeftColumns <= m; i += kLeftColumns, target += kLeftBlock) {
        UNROLLED_UNROLL
        for (int j = 0; j < kLeftColumns; j += W) S::store(target + j, S::load(source + i + j));
    }
    for (; i < m; i += W, target += W) S::store(target, S::load(source + i, m - i));
}

// sums[0..m) += the left side's tokens, one after the other.
void add_columns(const T* blocks, int64_t tokens, int64_t m, T* sums) {
    for (int64_t i = 0; i < m; i += W) {
        const T* source = blocks + i / kLeftColumns * kLeftBlock + i % kLeftColumns;
        V sum = S::load(sums + i, m - i);
        for (int64_t k = 0; k < tokens; ++k) sum = S::add(sum, S::load(source + k * kLeftColumns));
        S::store(sums + i, sum, m - i);
    }
}

void outer(const Outer<T>& s) {
    const int64_t m = s.m1 - s.m0;
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
            for (int64_t v = 0, nv; v < vectors; v += nv) {
                nv = panel_vectors(vectors, v);
                T* target = packed_b + (v * tokens + k * nv) * W;
                for (int64_t j = 0; j < nv; ++j) S::store(target + j * W, S::load(source + (v + j) * W, s.n - (v + j) * W));
            }
        }
        for (int64_t k = 0; k < tokens; ++k) {
            // The rows are pieces of longer ones, which the processor's own prefetching follows badly.
            const T* ahead = s.a[start + k + 4 < s.tokens ? start + k + 4 : start + k] + s.m0;
            for (int64_t i = 0; i < m; i += 64 / static_cast<int64_t>(sizeof(T))) UNROLLED_PREFETCH(ahead + i);
            pack_left(packed_a + k * kLeftColumns, s.a[start + k] + s.m0, m);
        }
        if (s.sums) add_columns(packed_a, tokens, m, s.sums);
        const bool fresh = start == 0;
        for (int64_t v = 0, nv; v < vectors; v += nv) {
            nv = panel_vectors(vectors, v);
            const T* b = packed_b + v * W * tokens;
            const int64_t columns = s.n - v * W;
            for (int64_t i = 0; i < m; i += kOuterRows) {
                const int height = static_cast<int>(m - i < kOuterRows ? m - i : kOuterRows);
                const T* a = packed_a + i / kLeftColumns * kLeftBlock + i % kLeftColumns;
                T* c = s.c + i * s.n + v * W;
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
