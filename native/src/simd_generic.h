// 128 bits of any scalar, written with the compiler's vector extension: SSE2, NEON, or plain code elsewhere.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "portability.h"

namespace unrolled {
namespace {

template <class T>
struct Lanes {
    static constexpr int width = static_cast<int>(16 / sizeof(T));
#if defined(__GNUC__)
    typedef T V __attribute__((vector_size(16)));
#else
    struct V {
        T lane[width];
        T& operator[](int i) { return lane[i]; }
        const T& operator[](int i) const { return lane[i]; }
        friend V operator+(V a, const V& b) { for (int i = 0; i < width; ++i) a.lane[i] += b.lane[i]; return a; }
        friend V operator-(V a, const V& b) { for (int i = 0; i < width; ++i) a.lane[i] -= b.lane[i]; return a; }
        friend V operator*(V a, const V& b) { for (int i = 0; i < width; ++i) a.lane[i] *= b.lane[i]; return a; }
        friend V operator/(V a, const V& b) { for (int i = 0; i < width; ++i) a.lane[i] /= b.lane[i]; return a; }
    };
#endif
};

template <class T>
struct Generic {
    using Scalar = T;
    using V = typename Lanes<T>::V;
    static constexpr int width = Lanes<T>::width;
#if defined(__aarch64__)
    static constexpr int registers = 32;
#else
    static constexpr int registers = 16;
#endif

    static UNROLLED_INLINE V set(T x) {
        // A loop over the lanes becomes a chain of shuffles with GCC.
        if constexpr (width == 4) {
            return V{x, x, x, x};
        } else {
            return V{x, x};
        }
    }
    static UNROLLED_INLINE V zero() { return set(T(0)); }
    static UNROLLED_INLINE V load(const T* p) {
        V v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    static UNROLLED_INLINE V load(const T* p, int64_t n) {
        if (n >= width) return load(p);
        V v = zero();
        for (int i = 0; i < width; ++i)
            if (i < n) v[i] = p[i];
        return v;
    }
    // Half precision, as its bits: moved to the exponent and fraction of a float and scaled to the other bias.
    static UNROLLED_INLINE V load(const uint16_t* p, int64_t n) {
        V v = zero();
        for (int i = 0; i < width; ++i) {
            if (i >= n) continue;
            const uint32_t magnitude = p[i] & 0x7FFFu;
            uint32_t bits = magnitude << 13;
            float value;
            std::memcpy(&value, &bits, sizeof value);
            value *= 5.192296858534828e33f;  // 2^112
            if (magnitude >= 0x7C00u) {      // infinity or not a number
                bits |= 0x7F800000u;
                std::memcpy(&value, &bits, sizeof value);
            }
            v[i] = static_cast<T>(p[i] & 0x8000u ? -value : value);
        }
        return v;
    }
    static UNROLLED_INLINE void store(T* p, V v) { std::memcpy(p, &v, sizeof v); }
    static UNROLLED_INLINE void store(T* p, V v, int64_t n) {
        if (n >= width) {
            store(p, v);
            return;
        }
        for (int i = 0; i < width; ++i)
            if (i < n) p[i] = v[i];
    }
    static UNROLLED_INLINE V add(V a, V b) { return a + b; }
    static UNROLLED_INLINE V sub(V a, V b) { return a - b; }
    static UNROLLED_INLINE V mul(V a, V b) { return a * b; }
    static UNROLLED_INLINE V fma(V a, V b, V c) { return a * b + c; }
    static UNROLLED_INLINE V relu(V x) {
        for (int i = 0; i < width; ++i) x[i] = x[i] < T(0) ? T(0) : x[i];  // keeps NaN
        return x;
    }
    static UNROLLED_INLINE V where_positive(V x, V y) {
        for (int i = 0; i < width; ++i) y[i] = x[i] > T(0) ? y[i] : T(0);
        return y;
    }
    static UNROLLED_INLINE V sigmoid(V x);
    static UNROLLED_INLINE V tanh(V x);

    // Pairs of neighbouring k, see reduced.inc.h.
    struct I {
        int32_t lane[width];
    };
    struct Pairs {
        int16_t lane[2 * width];
    };
    static UNROLLED_INLINE I zero_int() { return {}; }
    static UNROLLED_INLINE Pairs set_pair(const int16_t* p) {
        Pairs pairs;
        for (int i = 0; i < width; ++i) std::memcpy(pairs.lane + 2 * i, p, 2 * sizeof *p);
        return pairs;
    }
    static UNROLLED_INLINE Pairs load_pairs(const int8_t* p) {
        Pairs pairs;
        for (int i = 0; i < 2 * width; ++i) pairs.lane[i] = p[i];
        return pairs;
    }
    static UNROLLED_INLINE I add_products(I sum, const Pairs& a, const Pairs& b) {
        for (int i = 0; i < width; ++i) sum.lane[i] += a.lane[2 * i] * b.lane[2 * i] + a.lane[2 * i + 1] * b.lane[2 * i + 1];
        return sum;
    }
    static UNROLLED_INLINE V to_float(const I& sum) {
        V v = zero();
        for (int i = 0; i < width; ++i) v[i] = static_cast<T>(sum.lane[i]);
        return v;
    }
    static UNROLLED_INLINE void load_bfloat16_pairs(const uint16_t* p, V& first, V& second) {
        for (int i = 0; i < width; ++i) {
            uint32_t bits[2] = {static_cast<uint32_t>(p[2 * i]) << 16, static_cast<uint32_t>(p[2 * i + 1]) << 16};
            float values[2];
            std::memcpy(values, bits, sizeof values);
            first[i] = values[0];
            second[i] = values[1];
        }
    }
    static UNROLLED_INLINE V max(V a, V b) {
        for (int i = 0; i < width; ++i) a[i] = a[i] > b[i] ? a[i] : b[i];
        return a;
    }
    static UNROLLED_INLINE void store_int16(int16_t* p, V v, int64_t n) {  // rounded to nearest
        for (int i = 0; i < width && i < n; ++i) {
            const T x = v[i];
            p[i] = static_cast<int16_t>(x >= T(-32768) && x <= T(32767) ? std::nearbyint(x) : T(0));
        }
    }
    static UNROLLED_INLINE T sum(V v) {  // of all lanes
        T total = T(0);
        for (int i = 0; i < width; ++i) total += v[i];
        return total;
    }
};

template <>
UNROLLED_INLINE Generic<double>::V Generic<double>::sigmoid(V x) {
    for (int i = 0; i < width; ++i) x[i] = 1.0 / (1.0 + std::exp(-x[i]));
    return x;
}
template <>
UNROLLED_INLINE Generic<double>::V Generic<double>::tanh(V x) {
    for (int i = 0; i < width; ++i) x[i] = std::tanh(x[i]);
    return x;
}

// exp(-x) = 2^n 2^r with n = round(-x log2 e), |r| <= 1/2. Rounding y before the split costs s'(x) |y| 2^-24, less than
// 2e-8, since the sigmoid is flat where y is large. Polynomial: minimax for 2^r on [-1/2, 1/2], relative error 2e-9.
template <>
UNROLLED_INLINE Generic<float>::V Generic<float>::sigmoid(V x) {
    V y = x * set(-1.44269504088896341f);
    for (int i = 0; i < width; ++i) {  // NaN passes
        y[i] = y[i] > 126.0f ? 126.0f : y[i];
        y[i] = y[i] < -126.0f ? -126.0f : y[i];
    }
    const V magic = set(12582912.0f);  // 1.5 * 2^23: adding it rounds to the nearest integer
    const V shifted = y + magic;
    const V r = y - (shifted - magic);
    V p = set(1.5461444e-4f);
    p = p * r + set(1.3400428e-3f);
    p = p * r + set(9.6180567e-3f);
    p = p * r + set(5.5503272e-2f);
    p = p * r + set(2.4022651e-1f);
    p = p * r + set(6.9314721e-1f);
    p = p * r + set(1.0f);
    // The low bits of `shifted` hold n; move them into the exponent field.
    int32_t bits[width];
    std::memcpy(bits, &shifted, sizeof bits);
    for (int i = 0; i < width; ++i) bits[i] = static_cast<int32_t>((static_cast<uint32_t>(bits[i]) + 127u) << 23);
    V scale;
    std::memcpy(&scale, bits, sizeof scale);
    return set(1.0f) / (p * scale + set(1.0f));
}
template <>
UNROLLED_INLINE Generic<float>::V Generic<float>::tanh(V x) {
    return set(2.0f) * sigmoid(x + x) - set(1.0f);
}

}  // namespace
}  // namespace unrolled
