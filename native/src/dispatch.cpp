#include "dispatch.h"

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace unrolled {
namespace {

#if defined(UNROLLED_X86_KERNELS)
#if defined(_MSC_VER) && !defined(__clang__)
bool processor_has(Isa isa) {
    int info[4];
    __cpuid(info, 0);
    if (info[0] < 7) return false;
    __cpuidex(info, 1, 0);
    const bool fma = info[2] & (1 << 12), saves = info[2] & (1 << 27), half = info[2] & (1 << 29);
    if (!fma || !saves || !half) return false;
    const unsigned long long state = _xgetbv(0);  // which registers the system saves
    __cpuidex(info, 7, 0);
    if (isa == Isa::avx2) return (state & 0x6) == 0x6 && (info[1] & (1 << 5));
    const int needed = (1 << 16) | (1 << 17) | (1 << 30) | (1 << 31);  // F, DQ, BW, VL
    return (state & 0xE6) == 0xE6 && (info[1] & needed) == needed;
}
#else
bool processor_has(Isa isa) {
    if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}
#endif
#endif

}  // namespace

bool isa_supported(Isa isa) {
    if (isa == Isa::generic) return true;
#if defined(UNROLLED_X86_KERNELS)
    return processor_has(isa);
#else
    return false;
#endif
}

Isa best_isa() {
    if (isa_supported(Isa::avx512)) return Isa::avx512;
    return isa_supported(Isa::avx2) ? Isa::avx2 : Isa::generic;
}

template <>
const Kernels<float>& kernels_for<float>(Isa isa) {
#if defined(UNROLLED_X86_KERNELS)
    if (isa == Isa::avx512) return kernels_avx512();
    if (isa == Isa::avx2) return kernels_avx2();
#endif
    (void)isa;
    return kernels_generic_f32();
}

template <>
const Kernels<double>& kernels_for<double>(Isa) {
    return kernels_generic_f64();
}

}  // namespace unrolled
