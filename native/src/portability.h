// What differs between compilers, in one place.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#define UNROLLED_INLINE __forceinline
#define UNROLLED_NOINLINE __declspec(noinline)
#define UNROLLED_UNROLL
#define UNROLLED_PREFETCH(address) ((void)0)
#define UNROLLED_IN_ORDER(value) ((void)0)
#else
#define UNROLLED_INLINE inline __attribute__((always_inline))
#define UNROLLED_NOINLINE __attribute__((noinline))
#if defined(__clang__)
#define UNROLLED_UNROLL _Pragma("unroll")
#else
#define UNROLLED_UNROLL _Pragma("GCC unroll 16")
#endif
#define UNROLLED_PREFETCH(address) __builtin_prefetch(address)
// Keeps the compiler from computing far ahead of `value`, which would cost it more registers than there are. For vectors of SSE and
// AVX.
#define UNROLLED_IN_ORDER(value) asm volatile("" : "+x"(value))
#endif
