// The kernels of word vectors for any processor.
#include "simd_generic.h"
#include "word2vec_kernels.h"

namespace unrolled {
namespace {

using S = Generic<float>;
#include "word2vec.inc.h"

}  // namespace

const Word2vecKernels& word2vec_generic() { return kKernels; }

}  // namespace unrolled
