// The scans of a CRF for any processor.
#include <cstring>

#include "crf_kernels.h"
#include "simd_double.h"

namespace unrolled {
namespace {

using S = GenericDouble;
#include "crf.inc.h"

}  // namespace

const CrfKernels& crf_generic() { return kKernels; }

}  // namespace unrolled
