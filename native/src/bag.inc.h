// Sums of rows of an embedding table. Included once per instruction set after product.inc.h.

// NV vectors of the sum of `count` rows, each times its weight if there are weights, from column u on.
template <class Row, int NV>
UNROLLED_INLINE void bag_columns(const Row* table, int64_t dim, const int32_t* rows, const T* weights, int64_t count, T* out,
                                 int64_t u) {
    V sum[NV];
    UNROLLED_UNROLL
    for (int j = 0; j < NV; ++j) sum[j] = S::zero();
    for (int64_t k = 0; k < count; ++k) {
        const Row* row = table + static_cast<int64_t>(rows[k]) * dim + u;
        if (weights) {
            const V weight = S::set(weights[k]);
            UNROLLED_UNROLL
            for (int j = 0; j < NV; ++j) sum[j] = S::fma(weight, S::load(row + j * W, dim - u - j * W), sum[j]);
            continue;
        }
        UNROLLED_UNROLL
        for (int j = 0; j < NV; ++j) sum[j] = S::add(sum[j], S::load(row + j * W, dim - u - j * W));
    }
    UNROLLED_UNROLL
    for (int j = 0; j < NV; ++j) S::store(out + u + j * W, sum[j], dim - u - j * W);
}

template <class Row>
void bag_of(const Bag<T>& s) {
    const Row* table = static_cast<const Row*>(s.table);
    const int64_t line = 64 / static_cast<int64_t>(sizeof(Row));
    const int64_t last = s.offsets[s.end];
    for (int64_t token = s.begin; token < s.end; ++token) {
        const int64_t start = s.offsets[token], count = s.offsets[token + 1] - start;
        // The rows lie anywhere in a table that no cache holds; the next ones are asked for while these are added up.
        for (int64_t k = start + count; k < start + 2 * count + 2 && k < last; ++k)
            for (int64_t u = 0; u < s.dim; u += line) UNROLLED_PREFETCH(table + static_cast<int64_t>(s.rows[k]) * s.dim + u);
        T* out = s.out + token * s.dim;
        const int32_t* rows = s.rows + start;
        const T* weights = s.weights ? s.weights + start : nullptr;
        int64_t u = 0;
        for (; u + 4 * W <= s.dim; u += 4 * W) bag_columns<Row, 4>(table, s.dim, rows, weights, count, out, u);
        for (; u < s.dim; u += W) bag_columns<Row, 1>(table, s.dim, rows, weights, count, out, u);
    }
}

void bag(const Bag<T>& s) {
    if constexpr (sizeof(T) == sizeof(float)) {
        if (s.half) {
            bag_of<uint16_t>(s);
            return;
        }
    }
    bag_of<T>(s);
}
