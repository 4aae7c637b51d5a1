// Compiled with the flags of this instruction set: nothing here may be visible to other files but the table, because
// the linker would be free to let a plain processor run it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels.h"
#include "simd_avx2.h"

namespace unrolled {
namespace {

using S = Avx2;
#include "product.inc.h"
#include "reduced.inc.h"
#include "forward.inc.h"
#include "backward.inc.h"
#include "bag.inc.h"
#include "step.inc.h"
#include "peak.inc.h"
#include "table.inc.h"

}  // namespace

const Kernels<float>& kernels_avx2() {
    static const Kernels<float> table = make_kernels(Isa::avx2);
    return table;
}

}  // namespace unrolled
