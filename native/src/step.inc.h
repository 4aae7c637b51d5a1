// Pooling, masks and Adam. Included once per instruction set after bag.inc.h. The loops are plain: every compiler turns
// them into vector code.

void pool_sequences(const Pool<T>& p, int64_t begin, int64_t end, int64_t offset) {
    const int64_t width = p.width;
    const T* row = p.values + offset * width;
    for (int64_t b = begin; b < end; ++b) {
        const int64_t length = p.lengths[b];
        T* mean = p.mean ? p.mean + b * p.out_stride : nullptr;
        T* largest = p.largest ? p.largest + b * p.out_stride : nullptr;
        int32_t* where = p.largest ? p.where + b * width : nullptr;
        if (length == 0) {
            if (mean) std::memset(mean, 0, static_cast<size_t>(width) * sizeof(T));
            if (largest) std::memset(largest, 0, static_cast<size_t>(width) * sizeof(T));
            for (int64_t u = 0; where && u < width; ++u) where[u] = -1;
            continue;
        }
        if (mean) std::memcpy(mean, row, static_cast<size_t>(width) * sizeof(T));
        if (largest) {
            std::memcpy(largest, row, static_cast<size_t>(width) * sizeof(T));
            std::memset(where, 0, static_cast<size_t>(width) * sizeof(int32_t));
        }
        row += width;
        for (int64_t t = 1; t < length; ++t, row += width) {
            if (mean)
                for (int64_t u = 0; u < width; ++u) mean[u] += row[u];
            if (!largest) continue;
            const int32_t step = static_cast<int32_t>(t);
            for (int64_t u = 0; u < width; ++u) {
                // Larger, or the first NaN: one that stands there already is equal to nothing, itself included.
                const bool better = !(row[u] <= largest[u]) & (largest[u] == largest[u]);
                largest[u] = better ? row[u] : largest[u];
                where[u] = better ? step : where[u];
            }
        }
        if (mean && p.divide)
            for (int64_t u = 0; u < width; ++u) mean[u] /= static_cast<T>(length);
    }
}

template <bool Mean, bool Largest>
void pool_gradient_of(const PoolGradient<T>& p, int64_t begin, int64_t end, int64_t offset) {
    const int64_t width = p.width;
    T* row = p.d_values + offset * width;
    for (int64_t b = begin; b < end; ++b) {
        const int64_t length = p.lengths[b];
        const T* mean = Mean ? p.d_mean + b * p.d_stride : nullptr;
        const T* largest = Largest ? p.d_largest + b * p.d_stride : nullptr;
        const int32_t* where = Largest ? p.where + b * width : nullptr;
        const T share = p.divide ? T(1) / static_cast<T>(length) : T(1);
        for (int64_t t = 0; t < length; ++t, row += width) {
            const int32_t step = static_cast<int32_t>(t);
            for (int64_t u = 0; u < width; ++u) {
                T sum = T(0);
                if constexpr (Mean) sum += mean[u] * share;
                if constexpr (Largest) sum += where[u] == step ? largest[u] : T(0);
                row[u] = sum;
            }
        }
    }
}

void pool_gradient_sequences(const PoolGradient<T>& p, int64_t begin, int64_t end, int64_t offset) {
    if (p.d_mean && p.d_largest) {
        pool_gradient_of<true, true>(p, begin, end, offset);
    } else if (p.d_mean) {
        pool_gradient_of<true, false>(p, begin, end, offset);
    } else {
        pool_gradient_of<false, true>(p, begin, end, offset);
    }
}

// One sequence, or a part of one.
void scale_tokens(const T* values, const T* by_sequence, const T* by_token, T* out, int64_t tokens, int64_t width) {
    for (int64_t k = 0; k < tokens; ++k, values += width, out += width) {
        const T factor = by_token ? by_token[k] : T(1);
        if (by_sequence) {
            for (int64_t u = 0; u < width; ++u) out[u] = values[u] * (by_sequence[u] * factor);
        } else {
            for (int64_t u = 0; u < width; ++u) out[u] = values[u] * factor;
        }
    }
}

void mask_elements(T* out, int64_t begin, int64_t end, uint32_t threshold, T kept, uint64_t seed) {
    // `begin` is even: a word gives two elements. In two loops, so that neither has a branch that nobody can predict.
    constexpr int64_t block = 128;
    uint32_t half[block];
    for (int64_t i = begin; i < end; i += block) {
        for (int64_t j = 0; j < block; j += 2) {
            uint64_t z = seed + (static_cast<uint64_t>(i + j) / 2 + 1) * 0x9E3779B97F4A7C15u;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
            z ^= z >> 31;
            half[j] = static_cast<uint32_t>(z);
            half[j + 1] = static_cast<uint32_t>(z >> 32);
        }
        const int64_t count = std::min(block, end - i);
        for (int64_t j = 0; j < count; ++j) out[i + j] = half[j] < threshold ? T(0) : kept;
    }
}

double square_sum_of(const T* values, int64_t count) {
    constexpr int64_t lanes = 32, block = 1024;
    double total = 0;
    int64_t i = 0;
    while (i + lanes <= count) {
        // Short sums in the type of the values, their sum in double: as exact as it need be, and as fast.
        T sum[lanes] = {};
        const int64_t stop = std::min(count, i + block);
        for (; i + lanes <= stop; i += lanes)
            for (int64_t j = 0; j < lanes; ++j) sum[j] += values[i + j] * values[i + j];
        for (int64_t j = 0; j < lanes; ++j) total += static_cast<double>(sum[j]);
    }
    for (; i < count; ++i) total += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    return total;
}

void adam_elements(const Adam<T>& rule, T* weights, T* first, T* second, const T* gradient, int64_t count) {
    const Adam<T> r = rule;
    for (int64_t i = 0; i < count; ++i) {
        const T g = r.scale * gradient[i];
        const T m = first[i] + r.gain1 * (g - first[i]);
        const T v = r.beta2 * second[i] + r.gain2 * (g * g);
        first[i] = m;
        second[i] = v;
        weights[i] = r.keep * weights[i] - r.size * m / (std::sqrt(v) + r.eps);
    }
}

void adam_some_rows(const Adam<T>& rule, T* weights, T* first, T* second, const int32_t* rows, const T* gradient,
                    int64_t count, int64_t dim) {
    constexpr int64_t ahead = 6, line = 64 / static_cast<int64_t>(sizeof(T));
    for (int64_t k = 0; k < count; ++k) {
        // The rows lie anywhere in tables that no cache holds.
        if (k + ahead < count) {
            const int64_t next = static_cast<int64_t>(rows[k + ahead]) * dim;
            for (int64_t u = 0; u < dim; u += line) {
                UNROLLED_PREFETCH(weights + next + u);
                UNROLLED_PREFETCH(first + next + u);
                UNROLLED_PREFETCH(second + next + u);
            }
        }
        const int64_t at = static_cast<int64_t>(rows[k]) * dim;
        adam_elements(rule, weights + at, first + at, second + at, gradient + k * dim, dim);
    }
}

StepKernels<T> step_kernels() {
    return {&pool_sequences, &pool_gradient_sequences, &scale_tokens, &mask_elements,
            &square_sum_of,  &adam_elements,           &adam_some_rows};
}
