// Compiled with the flags of this instruction set, under the rule of kernels_avx2.cpp: nothing but the table is visible.
#include <cstring>

#include "crf_kernels.h"
#include "simd_double.h"

namespace unrolled {
namespace {

using S = Avx2Double;
#include "crf.inc.h"

}  // namespace

const CrfKernels& crf_avx2() { return kKernels; }

}  // namespace unrolled
