// The serial kernels of a training step, one table an instruction set; see step.h for what they compute.
#pragma once

#include <cstdint>

#include "unrolled/step.h"

namespace unrolled {

// Sequences begin..end; offset is the token at which sequence `begin` starts.
template <class T>
struct StepKernels {
    void (*pool)(const Pool<T>&, int64_t begin, int64_t end, int64_t offset);
    void (*pool_gradient)(const PoolGradient<T>&, int64_t begin, int64_t end, int64_t offset);
    void (*scale)(const T* values, const T* by_sequence, const T* by_token, T* out, int64_t tokens, int64_t width);
    void (*random_mask)(T* out, int64_t begin, int64_t end, uint32_t threshold, T kept, uint64_t seed);
    double (*square_sum)(const T* values, int64_t count);
    void (*adam)(const Adam<T>&, T* weights, T* first, T* second, const T* gradient, int64_t count);
    void (*adam_rows)(const Adam<T>&, T* weights, T* first, T* second, const int32_t* rows, const T* gradient, int64_t count,
                      int64_t dim);
};

}  // namespace unrolled
