// 8 floats in a 256-bit register (AVX2 and FMA).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "portability.h"

namespace unrolled {
namespace {

struct Avx2 {
    using Scalar = float;
    using V = __m256;
    static constexpr int width = 8;
    static constexpr int registers = 16;

    static UNROLLED_INLINE __m256i mask(int64_t n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    static UNROLLED_INLINE V zero() { return _mm256_setzero_ps(); }
    static UNROLLED_INLINE V set(float x) { return _mm256_set1_ps(x); }
    static UNROLLED_INLINE V load(const float* p) { return _mm256_loadu_ps(p); }
    // Masked moves are slow on some processors, so full vectors take the plain one.
    static UNROLLED_INLINE V load(const float* p, int64_t n) { return n >= 8 ? load(p) : _mm256_maskload_ps(p, mask(n)); }
    // Half precision, as its bits.
    static UNROLLED_INLINE V load(const uint16_t* p, int64_t n) {
        if (n >= 8) return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
        alignas(16) uint16_t lanes[8] = {};
        for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
        return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(lanes)));
    }
    static UNROLLED_INLINE void store(float* p, V v) { _mm256_storeu_ps(p, v); }
    static UNROLLED_INLINE void store(float* p, V v, int64_t n) {
        if (n >= 8) {
            store(p, v);
        } else {
            _mm256_maskstore_ps(p, mask(n), v);
        }
    }
    static UNROLLED_INLINE V add(V a, V b) { return _mm256_add_ps(a, b); }
    static UNROLLED_INLINE V sub(V a, V b) { return _mm256_sub_ps(a, b); }
    static UNROLLED_INLINE V mul(V a, V b) { return _mm256_mul_ps(a, b); }
    static UNROLLED_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
    static UNROLLED_INLINE V relu(V x) { return _mm256_max_ps(_mm256_setzero_ps(), x); }  // keeps NaN: second operand
    static UNROLLED_INLINE V where_positive(V x, V y) {
        return _mm256_and_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ), y);
    }

    // exp(-x) = 2^n 2^r with n = round(-x log2 e), |r| <= 1/2. Rounding y before the split costs s'(x) |y| 2^-24, less than
    // 2e-8, since the sigmoid is flat where y is large. Polynomial: minimax for 2^r on [-1/2, 1/2], relative error 2e-9.
    static UNROLLED_INLINE V sigmoid(V x) {
        const V limit = set(126.0f);
        // The order of operands lets NaN through.
        const V y = _mm256_min_ps(limit, _mm256_max_ps(sub(zero(), limit), mul(x, set(-1.44269504088896341f))));
        const V n = _mm256_round_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        const V r = sub(y, n);
        V p = set(1.5461444e-4f);
        p = fma(p, r, set(1.3400428e-3f));
        p = fma(p, r, set(9.6180567e-3f));
        p = fma(p, r, set(5.5503272e-2f));
        p = fma(p, r, set(2.4022651e-1f));
        p = fma(p, r, set(6.9314721e-1f));
        p = fma(p, r, set(1.0f));
        const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
        return _mm256_div_ps(set(1.0f), fma(p, _mm256_castsi256_ps(exponent), set(1.0f)));
    }
    // Pairs of neighbouring k, see reduced.inc.h.
    using I = __m256i;
    using Pairs = __m256i;
    static UNROLLED_INLINE I zero_int() { return _mm256_setzero_si256(); }
    static UNROLLED_INLINE Pairs set_pair(const int16_t* p) {
        int32_t both;
        std::memcpy(&both, p, sizeof both);
        return _mm256_set1_epi32(both);
    }
    static UNROLLED_INLINE Pairs load_pairs(const int8_t* p) {
        return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static UNROLLED_INLINE I add_products(I sum, Pairs a, Pairs b) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
        UNROLLED_IN_ORDER(sum);
        return sum;
    }
    static UNROLLED_INLINE V to_float(I sum) { return _mm256_cvtepi32_ps(sum); }
    static UNROLLED_INLINE void load_bfloat16_pairs(const uint16_t* p, V& first, V& second) {
        const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        first = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
        second = _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u))));
    }
    static UNROLLED_INLINE V max(V a, V b) { return _mm256_max_ps(a, b); }
    static UNROLLED_INLINE void store_int16(int16_t* p, V v, int64_t n) {  // rounded to nearest
        const __m256i wide = _mm256_cvtps_epi32(v);
        const __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
        if (n >= 8) {
            _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow);
        } else {
            alignas(16) int16_t lanes[8];
            _mm_store_si128(reinterpret_cast<__m128i*>(lanes), narrow);
            for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
        }
    }

    static UNROLLED_INLINE V tanh(V x) { return fma(set(2.0f), sigmoid(add(x, x)), set(-1.0f)); }
    // Of all lanes.
    static UNROLLED_INLINE float sum(V v) {
        __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        half = _mm_add_ps(half, _mm_movehl_ps(half, half));
        return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
    }
};

}  // namespace
}  // namespace unrolled
