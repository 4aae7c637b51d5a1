#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "parallel.h"
#include "plan.h"

namespace unrolled {

template <class T>
void linear(const T* x, const T* w, const T* bias, T* out, int64_t rows, int64_t k, int64_t n, int threads, Isa isa) {
    const Kernels<T>& kernels = kernels_for<T>(isa);
    Arena arena;
    threads = useful_threads(threads, static_cast<double>(rows) * k * n);
    T* panels = arena.take<T>(kernels.padded(n) * k);
    kernels.pack_plain(panels, w, k, n, k, false, nullptr, 0, 0);
    T* padded_bias = nullptr;
    if (bias) {
        padded_bias = arena.take<T>(kernels.padded(n));
        std::copy(bias, bias + n, padded_bias);
        std::fill(padded_bias + n, padded_bias + kernels.padded(n), T(0));
    }
    const T** from = arena.take<const T*>(rows);
    T** to = arena.take<T*>(rows);
    for (int64_t i = 0; i < rows; ++i) {
        from[i] = x + i * k;
        to[i] = out + i * n;
    }
    const int64_t block = 96;
    parallel_for(static_cast<int>(ceil_div(rows, block)), threads, [&](int task) {
        const int64_t row = task * block;
        kernels.product({std::min(block, rows - row), n, k, 0, from + row, nullptr, panels, padded_bias, to + row});
    });
}

template <class T>
void gather(const T* table, const int32_t* ids, T* out, int64_t count, int64_t dim, int threads) {
    const int64_t block = 1024;
    parallel_for(static_cast<int>(ceil_div(count, block)), useful_threads(threads, kLookupCost * static_cast<double>(count) * dim), [&](int task) {
        const int64_t end = std::min((task + 1) * block, count);
        for (int64_t i = task * block; i < end; ++i)
            std::memcpy(out + i * dim, table + static_cast<int64_t>(ids[i]) * dim, static_cast<size_t>(dim) * sizeof(T));
    });
}

template <class T>
void embedding_bag(const void* table, bool half, const int32_t* rows, const int64_t* lengths, T* out, int64_t tokens,
                   int64_t dim, int threads, Isa isa) {
    const Kernels<T>& kernels = kernels_for<T>(isa);
    Arena arena;
    int64_t* offsets = arena.take<int64_t>(tokens + 1);
    offsets[0] = 0;
    for (int64_t k = 0; k < tokens; ++k) offsets[k + 1] = offsets[k] + lengths[k];
    const int64_t block = 256;
    threads = useful_threads(threads, kLookupCost * static_cast<double>(offsets[tokens]) * dim);
    parallel_for(static_cast<int>(ceil_div(tokens, block)), threads, [&](int task) {
        const int64_t begin = task * block;
        kernels.bag({table, half, dim, rows, offsets, begin, std::min(begin + block, tokens), out});
    });
}

template void embedding_bag<float>(const void*, bool, const int32_t*, const int64_t*, float*, int64_t, int64_t, int, Isa);
template void embedding_bag<double>(const void*, bool, const int32_t*, const int64_t*, double*, int64_t, int64_t, int, Isa);
template void linear<float>(const float*, const float*, const float*, float*, int64_t, int64_t, int64_t, int, Isa);
template void linear<double>(const double*, const double*, const double*, double*, int64_t, int64_t, int64_t, int, Isa);
template void gather<float>(const float*, const int32_t*, float*, int64_t, int64_t, int);
template void gather<double>(const double*, const int32_t*, double*, int64_t, int64_t, int);

}  // namespace unrolled
