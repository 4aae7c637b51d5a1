// The kernels for a scalar type and an instruction set.
#pragma once

#include "kernels.h"

namespace unrolled {

template <class T>
const Kernels<T>& kernels_for(Isa isa);

template <>
const Kernels<float>& kernels_for<float>(Isa isa);
template <>
const Kernels<double>& kernels_for<double>(Isa isa);

}  // namespace unrolled
