// The kernels for any processor, in float32 and in float64 (which the gradient checks use).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels.h"
#include "simd_generic.h"

namespace unrolled {
namespace {

namespace f32 {
using S = Generic<float>;
#include "product.inc.h"
#include "reduced.inc.h"
#include "forward.inc.h"
#include "backward.inc.h"
#include "bag.inc.h"
#include "step.inc.h"
#include "peak.inc.h"
#include "table.inc.h"
}  // namespace f32

namespace f64 {
using S = Generic<double>;
#include "product.inc.h"
#include "reduced.inc.h"
#include "forward.inc.h"
#include "backward.inc.h"
#include "bag.inc.h"
#include "step.inc.h"
#include "peak.inc.h"
#include "table.inc.h"
}  // namespace f64

}  // namespace

const Kernels<float>& kernels_generic_f32() {
    static const Kernels<float> table = f32::make_kernels(Isa::generic);
    return table;
}

const Kernels<double>& kernels_generic_f64() {
    static const Kernels<double> table = f64::make_kernels(Isa::generic);
    return table;
}

}  // namespace unrolled
