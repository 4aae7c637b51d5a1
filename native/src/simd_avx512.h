// 16 floats in a 512-bit register (AVX-512 F, DQ, BW, VL).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "portability.h"

namespace unrolled {
namespace {

struct Avx512 {
    using Scalar = float;
    using V = __m512;
    static constexpr int width = 16;
    static constexpr int registers = 32;

    static UNROLLED_INLINE __mmask16 mask(int64_t n) { return static_cast<__mmask16>(n >= 16 ? 0xFFFFu : (1u << n) - 1u); }
    static UNROLLED_INLINE V zero() { return _mm512_setzero_ps(); }
    static UNROLLED_INLINE V set(float x) { return _mm512_set1_ps(x); }
    static UNROLLED_INLINE V load(const float* p) { return _mm512_loadu_ps(p); }
    static UNROLLED_INLINE V load(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(mask(n), p); }
    // Half precision, as its bits.
    static UNROLLED_INLINE V load(const uint16_t* p, int64_t n) {
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask(n), p));
    }
    static UNROLLED_INLINE void store(float* p, V v) { _mm512_storeu_ps(p, v); }
    static UNROLLED_INLINE void store(float* p, V v, int64_t n) { _mm512_mask_storeu_ps(p, mask(n), v); }
    static UNROLLED_INLINE V add(V a, V b) { return _mm512_add_ps(a, b); }
    static UNROLLED_INLINE V sub(V a, V b) { return _mm512_sub_ps(a, b); }
    static UNROLLED_INLINE V mul(V a, V b) { return _mm512_mul_ps(a, b); }
    static UNROLLED_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
    static UNROLLED_INLINE V relu(V x) { return _mm512_max_ps(_mm512_setzero_ps(), x); }  // keeps NaN: second operand
    static UNROLLED_INLINE V where_positive(V x, V y) {  // y where x > 0, else 0
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), y);
    }

    // exp(-x) = 2^n 2^r with n = round(-x log2 e), |r| <= 1/2. Rounding y before the split costs s'(x) |y| 2^-24, less than
    // 2e-8, since the sigmoid is flat where y is large. Polynomial: minimax for 2^r on [-1/2, 1/2], relative error 2e-9.
    static UNROLLED_INLINE V sigmoid(V x) {
        const V limit = set(126.0f);
        // The order of operands lets NaN through.
        const V y = _mm512_min_ps(limit, _mm512_max_ps(sub(zero(), limit), mul(x, set(-1.44269504088896341f))));
        const V n = _mm512_roundscale_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        const V r = sub(y, n);
        V p = set(1.5461444e-4f);
        p = fma(p, r, set(1.3400428e-3f));
        p = fma(p, r, set(9.6180567e-3f));
        p = fma(p, r, set(5.5503272e-2f));
        p = fma(p, r, set(2.4022651e-1f));
        p = fma(p, r, set(6.9314721e-1f));
        p = fma(p, r, set(1.0f));
        const V d = add(set(1.0f), _mm512_scalef_ps(p, n));
        const V q = _mm512_rcp14_ps(d);
        return mul(q, _mm512_fnmadd_ps(d, q, set(2.0f)));  // one Newton step: 14 bits to 24
    }
    // Pairs of neighbouring k, see reduced.inc.h.
    using I = __m512i;
    using Pairs = __m512i;
    static UNROLLED_INLINE I zero_int() { return _mm512_setzero_si512(); }
    static UNROLLED_INLINE Pairs set_pair(const int16_t* p) {
        int32_t both;
        std::memcpy(&both, p, sizeof both);
        return _mm512_set1_epi32(both);
    }
    static UNROLLED_INLINE Pairs load_pairs(const int8_t* p) {
        return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static UNROLLED_INLINE I add_products(I sum, Pairs a, Pairs b) { return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)); }
    static UNROLLED_INLINE V to_float(I sum) { return _mm512_cvtepi32_ps(sum); }
    static UNROLLED_INLINE void load_bfloat16_pairs(const uint16_t* p, V& first, V& second) {
        const __m512i both = _mm512_loadu_si512(p);
        first = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
        second = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u))));
    }
    static UNROLLED_INLINE V max(V a, V b) { return _mm512_max_ps(a, b); }
    static UNROLLED_INLINE void store_int16(int16_t* p, V v, int64_t n) {  // rounded to nearest
        _mm256_mask_storeu_epi16(p, mask(n), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(v)));
    }

    static UNROLLED_INLINE V tanh(V x) { return fma(set(2.0f), sigmoid(add(x, x)), set(-1.0f)); }
    static UNROLLED_INLINE float sum(V v) { return _mm512_reduce_add_ps(v); }  // of all lanes
};

}  // namespace
}  // namespace unrolled
