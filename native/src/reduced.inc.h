// What stands on the right of a product: weights in full precision, as bfloat16, or as int8. Included once per instruction
// set after product.inc.h.
//
// A policy P names the rows that it multiplies (P::Row), the elements of its panels (P::Panel) and the height of its tiles,
// and forms their sums.
// Reduced panels hold the weights of two neighbouring k side by side: panel[k / 2][vector][lane][k % 2]; a missing last k is
// zero. NB neighbouring panels may be taken at once, `distance` elements of the panel apart: one row alone has too few sums
// to keep the processor busy.

struct Full {
    using Panel = T;
    using Row = const T*;
    static constexpr int rows(int nv) { return tile_rows(nv); }
    static int64_t panel_size(int64_t k, int64_t nv) { return k * nv * W; }

    template <int MR, int NV, int NB>
    static UNROLLED_INLINE void product(V (&acc)[MR][NB * NV], const Row (&rows)[MR], const Panel* panel, int64_t distance, const T*,
                                        const T* bias, int64_t k_count) {
        start_at<MR, NB * NV>(acc, bias);
        if constexpr (NB == 1) {
            accumulate<MR, NV>(acc, rows, panel, k_count);
        } else {
            for (int64_t k = 0; k < k_count; ++k, panel += NV * W) {
                UNROLLED_UNROLL
                for (int r = 0; r < MR; ++r) {
                    const V x = S::set(rows[r][k]);
                    UNROLLED_UNROLL
                    for (int j = 0; j < NB * NV; ++j)
                        acc[r][j] = S::fma(x, S::load(panel + j / NV * distance + j % NV * W), acc[r][j]);
                }
            }
        }
    }
};

// Weights rounded to bfloat16, the upper half of a float32; rows and sums stay float32.
struct Bfloat16 {
    using Panel = uint16_t;
    using Row = const T*;
    static constexpr int rows(int nv) { return tile_rows(nv); }
    static int64_t panel_size(int64_t k, int64_t nv) { return ceil_div(k, 2) * 2 * nv * W; }

    template <int MR, int NV, int NB>
    static UNROLLED_INLINE void product(V (&acc)[MR][NB * NV], const Row (&rows)[MR], const Panel* panel, int64_t distance, const T*,
                                        const T* bias, int64_t k_count) {
        start_at<MR, NB * NV>(acc, bias);
        int64_t k = 0;
        for (; k + 2 <= k_count; k += 2, panel += 2 * NV * W) {
            V even[MR], odd[MR];
            UNROLLED_UNROLL
            for (int r = 0; r < MR; ++r) {
                even[r] = S::set(rows[r][k]);
                odd[r] = S::set(rows[r][k + 1]);
            }
            UNROLLED_UNROLL
            for (int j = 0; j < NB * NV; ++j) {
                V first, second;
                S::load_bfloat16_pairs(panel + j / NV * distance + j % NV * 2 * W, first, second);
                UNROLLED_UNROLL
                for (int r = 0; r < MR; ++r) acc[r][j] = S::fma(odd[r], second, S::fma(even[r], first, acc[r][j]));
            }
        }
        if (k == k_count) return;
        UNROLLED_UNROLL
        for (int j = 0; j < NB * NV; ++j) {
            V first, second;
            S::load_bfloat16_pairs(panel + j / NV * distance + j % NV * 2 * W, first, second);
            UNROLLED_UNROLL
            for (int r = 0; r < MR; ++r) acc[r][j] = S::fma(S::set(rows[r][k]), first, acc[r][j]);
        }
    }
};

// Weights as int8 with a scale for each column; rows as integers of up to 15 bits with a scale for each row, so that all of
// the error is the weights'. Sums are exact integers.
struct Int8 {
    using Panel = int8_t;
    struct Row {
        const int16_t* values;
        T scale;
    };
    // Products of pairs need a register more than fused multiply-adds.
    static constexpr int rows(int nv) { return S::registers >= 32 ? tile_rows(nv) - 2 : nv == 4 ? 2 : nv == 3 ? 3 : 4; }
    static int64_t panel_size(int64_t k, int64_t nv) { return ceil_div(k, 2) * 2 * nv * W; }

    template <int MR, int NV, int NB>
    static UNROLLED_INLINE void product(V (&acc)[MR][NB * NV], const Row (&rows)[MR], const Panel* panel, int64_t distance,
                                        const T* scales, const T* bias, int64_t k_count) {
        typename S::I sums[MR][NB * NV];
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            UNROLLED_UNROLL
            for (int j = 0; j < NB * NV; ++j) sums[r][j] = S::zero_int();
        }
        for (int64_t k = 0; k < k_count; k += 2, panel += 2 * NV * W) {
            typename S::Pairs x[MR];
            UNROLLED_UNROLL
            for (int r = 0; r < MR; ++r) x[r] = S::set_pair(rows[r].values + k);
            UNROLLED_UNROLL
            for (int j = 0; j < NB * NV; ++j) {
                const typename S::Pairs w = S::load_pairs(panel + j / NV * distance + j % NV * 2 * W);
                UNROLLED_UNROLL
                for (int r = 0; r < MR; ++r) sums[r][j] = S::add_products(sums[r][j], x[r], w);
            }
        }
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            UNROLLED_UNROLL
            for (int j = 0; j < NB * NV; ++j) {
                const V scale = S::mul(S::set(rows[r].scale), S::load(scales + j * W));
                acc[r][j] = S::fma(S::to_float(sums[r][j]), scale, bias ? S::load(bias + j * W) : S::zero());
            }
        }
    }
};

// Largest magnitude of a quantised row: k_count products with an int8 must not overflow 32 bits.
inline int64_t row_limit(int64_t k_count) {
    const int64_t limit = INT32_MAX / (127 * (k_count + 1));
    return limit < 16383 ? limit : 16383;
}

// Rows as Int8 reads them; `values` has room for k_count rounded up to even. NaN and infinity make the scale NaN.
Int8::Row quantise(const T* row, int64_t k_count, int16_t* values) {
    V largest = S::zero(), poison = S::zero();
    for (int64_t k = 0; k < k_count; k += W) {
        const V x = S::load(row + k, k_count - k);
        largest = S::max(largest, S::max(x, S::sub(S::zero(), x)));
        poison = S::fma(x, S::zero(), poison);
    }
    T lanes[2 * W];
    S::store(lanes, largest);
    S::store(lanes + W, poison);
    T most = 0, poisoned = 0;
    for (int l = 0; l < W; ++l) {
        most = lanes[l] > most ? lanes[l] : most;
        poisoned += lanes[W + l];
    }
    const T limit = static_cast<T>(row_limit(k_count));
    const V factor = S::set(most > 0 ? limit / most : T(0));
    for (int64_t k = 0; k < k_count; k += W) S::store_int16(values + k, S::mul(S::load(row + k, k_count - k), factor), k_count - k);
    if (k_count % 2) values[k_count] = 0;
    return {values, most / limit + poisoned};
}

// ---- tiles that leave registers to what follows ---------------------------------------------------------------------

template <class P, int MR, int NV, int NB>
UNROLLED_NOINLINE void product_apart(T* result, const typename P::Row (&rows)[MR], const typename P::Panel* panel, int64_t distance,
                                     const T* scales, const T* bias, int64_t k_count) {
    V acc[MR][NB * NV];
    P::template product<MR, NV, NB>(acc, rows, panel, distance, scales, bias, k_count);
    UNROLLED_UNROLL
    for (int r = 0; r < MR; ++r) {
        UNROLLED_UNROLL
        for (int j = 0; j < NB * NV; ++j) S::store(result + (r * NB * NV + j) * W, acc[r][j]);
    }
}

// acc[r][j] = bias[j] + row r times column j, followed by code that needs registers of its own. With 16 of them a compiler
// that sees both at once keeps some of the sums in memory throughout the loop; so there the loop is a function apart.
template <class P, int MR, int NV, int NB>
UNROLLED_INLINE void tile_product(V (&acc)[MR][NB * NV], const typename P::Row (&rows)[MR], const typename P::Panel* panel,
                                  int64_t distance, const T* scales, const T* bias, int64_t k_count) {
    if constexpr (S::registers >= 32) {
        P::template product<MR, NV, NB>(acc, rows, panel, distance, scales, bias, k_count);
    } else {
        alignas(64) T sums[MR * NB * NV * W];
        product_apart<P, MR, NV, NB>(sums, rows, panel, distance, scales, bias, k_count);
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            UNROLLED_UNROLL
            for (int j = 0; j < NB * NV; ++j) acc[r][j] = S::load(sums + (r * NB * NV + j) * W);
        }
    }
}

// ---- reduced panels --------------------------------------------------------------------------------------------------

// bfloat16 of a float: rounded to nearest, ties to even; NaN stays NaN.
inline uint16_t to_bfloat16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if (x != x) return static_cast<uint16_t>(bits >> 16 | 0x40);
    return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

inline int8_t to_int8(float x) {
    const float rounded = x < 0 ? x - 0.5f : x + 0.5f;
    return static_cast<int8_t>(rounded > 127 ? 127 : rounded < -127 ? -127 : rounded);
}

// One panel of k_count x nv vectors. `scales` (nv * W) is written for int8.
void reduce_panel(Precision precision, const T* panel, int64_t k_count, int64_t nv, void* reduced, T* scales) {
    const int64_t columns = nv * W;
    T* factor = scales;
    for (int64_t c = 0; c < columns && precision == Precision::int8; ++c) {
        T most = 0;
        for (int64_t k = 0; k < k_count; ++k) {
            const T magnitude = panel[k * columns + c] < 0 ? -panel[k * columns + c] : panel[k * columns + c];
            most = magnitude > most || magnitude != magnitude ? magnitude : most;
        }
        factor[c] = most / 127;
    }
    for (int64_t k = 0; k < ceil_div(k_count, 2) * 2; ++k) {
        for (int64_t c = 0; c < columns; ++c) {
            const float w = k < k_count ? static_cast<float>(panel[k * columns + c]) : 0.0f;
            const int64_t at = (k / 2 * columns + c) * 2 + k % 2;
            if (precision == Precision::bfloat16) {
                static_cast<uint16_t*>(reduced)[at] = to_bfloat16(w);
            } else {
                static_cast<int8_t*>(reduced)[at] = factor[c] > 0 ? to_int8(w / static_cast<float>(factor[c])) : int8_t(0);
            }
        }
    }
}

// All panels of a packed matrix: `gates` vectors wide each, or as pack_plain divides `columns` if gates is 1.
void reduce_panels(Precision precision, const T* panels, int64_t columns, int64_t k_count, int gates, void* reduced, T* scales) {
    const int64_t bytes = precision == Precision::bfloat16 ? 2 : 1;
    const int64_t vectors = ceil_div(columns, W) * gates;
    for (int64_t v = 0, nv; v < vectors; v += nv) {
        nv = gates > 1 ? gates : panel_vectors(vectors, v);
        void* target = static_cast<char*>(reduced) + v * W * ceil_div(k_count, 2) * 2 * bytes;
        reduce_panel(precision, panels + v * W * k_count, k_count, nv, target, scales + v * W);
    }
}
