// Doubles in the registers of each instruction set: what the scans of crf.inc.h need.
#pragma once

#include <cstdint>
#include <cstring>

#include "portability.h"
#include "simd_generic.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace unrolled {
namespace {

// Beside the arithmetic: max and min give the second operand if one is NaN; select_greater gives x where a > b, else y;
// scale_bits multiplies by 2 to the power that stands in the low bits of `power`; largest, least and sum are of all lanes.
struct GenericDouble : Generic<double> {
    static UNROLLED_INLINE V min(V a, V b) {
        for (int i = 0; i < width; ++i) a[i] = a[i] < b[i] ? a[i] : b[i];
        return a;
    }
    static UNROLLED_INLINE V select_greater(V a, V b, V x, V y) {
        for (int i = 0; i < width; ++i) y[i] = a[i] > b[i] ? x[i] : y[i];
        return y;
    }
    static UNROLLED_INLINE V scale_bits(V x, V power) {
        uint64_t bits[width], powers[width];
        std::memcpy(bits, &x, sizeof bits);
        std::memcpy(powers, &power, sizeof powers);
        for (int i = 0; i < width; ++i) bits[i] += powers[i] << 52;
        std::memcpy(&x, bits, sizeof bits);
        return x;
    }
    static UNROLLED_INLINE double largest(V v) { return v[0] > v[1] ? v[0] : v[1]; }
    static UNROLLED_INLINE double least(V v) { return v[0] < v[1] ? v[0] : v[1]; }
};
static_assert(GenericDouble::width == 2, "largest and least read two lanes");

#if defined(__AVX2__)
struct Avx2Double {
    using V = __m256d;
    static constexpr int width = 4;

    static UNROLLED_INLINE V zero() { return _mm256_setzero_pd(); }
    static UNROLLED_INLINE V set(double x) { return _mm256_set1_pd(x); }
    static UNROLLED_INLINE V load(const double* p) { return _mm256_loadu_pd(p); }
    static UNROLLED_INLINE void store(double* p, V v) { _mm256_storeu_pd(p, v); }
    static UNROLLED_INLINE V add(V a, V b) { return _mm256_add_pd(a, b); }
    static UNROLLED_INLINE V sub(V a, V b) { return _mm256_sub_pd(a, b); }
    static UNROLLED_INLINE V mul(V a, V b) { return _mm256_mul_pd(a, b); }
    static UNROLLED_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
    static UNROLLED_INLINE V max(V a, V b) { return _mm256_max_pd(a, b); }
    static UNROLLED_INLINE V min(V a, V b) { return _mm256_min_pd(a, b); }
    static UNROLLED_INLINE V select_greater(V a, V b, V x, V y) {
        return _mm256_blendv_pd(y, x, _mm256_cmp_pd(a, b, _CMP_GT_OQ));
    }
    static UNROLLED_INLINE V scale_bits(V x, V power) {
        const __m256i shifted = _mm256_slli_epi64(_mm256_castpd_si256(power), 52);
        return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(x), shifted));
    }
    static UNROLLED_INLINE double largest(V v) {
        const __m128d half = _mm_max_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
        return _mm_cvtsd_f64(_mm_max_sd(half, _mm_unpackhi_pd(half, half)));
    }
    static UNROLLED_INLINE double least(V v) {
        const __m128d half = _mm_min_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
        return _mm_cvtsd_f64(_mm_min_sd(half, _mm_unpackhi_pd(half, half)));
    }
    static UNROLLED_INLINE double sum(V v) {
        const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
        return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
    }
};
#endif

#if defined(__AVX512F__)
struct Avx512Double {
    using V = __m512d;
    static constexpr int width = 8;

    static UNROLLED_INLINE V zero() { return _mm512_setzero_pd(); }
    static UNROLLED_INLINE V set(double x) { return _mm512_set1_pd(x); }
    static UNROLLED_INLINE V load(const double* p) { return _mm512_loadu_pd(p); }
    static UNROLLED_INLINE void store(double* p, V v) { _mm512_storeu_pd(p, v); }
    static UNROLLED_INLINE V add(V a, V b) { return _mm512_add_pd(a, b); }
    static UNROLLED_INLINE V sub(V a, V b) { return _mm512_sub_pd(a, b); }
    static UNROLLED_INLINE V mul(V a, V b) { return _mm512_mul_pd(a, b); }
    static UNROLLED_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
    static UNROLLED_INLINE V max(V a, V b) { return _mm512_max_pd(a, b); }
    static UNROLLED_INLINE V min(V a, V b) { return _mm512_min_pd(a, b); }
    static UNROLLED_INLINE V select_greater(V a, V b, V x, V y) {
        return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), y, x);
    }
    static UNROLLED_INLINE V scale_bits(V x, V power) {
        const __m512i shifted = _mm512_slli_epi64(_mm512_castpd_si512(power), 52);
        return _mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(x), shifted));
    }
    static UNROLLED_INLINE double largest(V v) { return _mm512_reduce_max_pd(v); }
    static UNROLLED_INLINE double least(V v) { return _mm512_reduce_min_pd(v); }
    static UNROLLED_INLINE double sum(V v) { return _mm512_reduce_add_pd(v); }
};
#endif

}  // namespace
}  // namespace unrolled
