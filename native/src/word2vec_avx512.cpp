// Compiled with the flags of this instruction set, under the rule of kernels_avx512.cpp: nothing but the table is visible.
#include "simd_avx512.h"
#include "word2vec_kernels.h"

namespace unrolled {
namespace {

using S = Avx512;
#include "word2vec.inc.h"

}  // namespace

const Word2vecKernels& word2vec_avx512() { return kKernels; }

}  // namespace unrolled
