#include "unrolled/step.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dispatch.h"
#include "parallel.h"
#include "plan.h"

namespace unrolled {
namespace {

#if defined(__GNUC__)
inline int32_t bits_set(uint64_t word) { return __builtin_popcountll(word); }
#else
inline int32_t bits_set(uint64_t word) {
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    return static_cast<int32_t>((((word + (word >> 4)) & 0x0F0F0F0F0F0F0F0Fu) * 0x0101010101010101u) >> 56);
}
#endif

int64_t* offsets_of(const int64_t* lengths, int64_t count, Arena& arena) {
    int64_t* offsets = arena.take<int64_t>(count + 1);
    offsets[0] = 0;
    for (int64_t k = 0; k < count; ++k) offsets[k + 1] = offsets[k] + lengths[k];
    return offsets;
}

template <class T>
void run_bag(const T* table, const int32_t* rows, const T* weights, const int64_t* offsets, T* out, int64_t bags, int64_t dim,
             int threads, const Kernels<T>& kernels) {
    const int64_t block = 256;
    threads = useful_threads(threads, kLookupCost * static_cast<double>(offsets[bags]) * static_cast<double>(dim));
    parallel_for(static_cast<int>(ceil_div(bags, block)), threads, [&](int task) {
        const int64_t begin = task * block;
        kernels.bag({table, false, dim, rows, offsets, begin, std::min(begin + block, bags), out, weights});
    });
}

// Runs f(begin, end, first token) on runs of sequences with some tens of thousands of elements each.
template <class F>
void over_sequences(const int64_t* lengths, int64_t batch, int64_t width, int threads, F&& f) {
    Arena arena;
    const int64_t* offsets = offsets_of(lengths, batch, arena);
    const int64_t wanted = std::max<int64_t>(1, (int64_t(1) << 15) / std::max<int64_t>(width, 1));  // tokens a run
    int64_t* starts = arena.take<int64_t>(batch + 1);
    int64_t runs = 0;
    for (int64_t b = 0; b < batch; ++runs) {
        starts[runs] = b;
        for (const int64_t first = offsets[b]; b < batch && offsets[b] - first < wanted;) ++b;
    }
    starts[runs] = batch;
    threads = useful_threads(threads, kLookupCost * static_cast<double>(offsets[batch]) * static_cast<double>(width));
    parallel_for(static_cast<int>(runs), threads, [&](int run) { f(starts[run], starts[run + 1], offsets[starts[run]]); });
}

// Runs f(begin, end) on blocks of `block` of `count` elements that cost `cost` multiply-adds each.
template <class F>
void over_blocks(int64_t count, int64_t block, double cost, int threads, F&& f) {
    threads = useful_threads(threads, cost * static_cast<double>(count));
    parallel_for(static_cast<int>(ceil_div(count, block)), threads, [&](int task) {
        const int64_t begin = task * block;
        f(begin, std::min(begin + block, count));
    });
}

}  // namespace

int64_t number_rows(const int32_t* rows, int64_t count, int64_t entries, int32_t* touched, int32_t* numbers) {
    // A bit an entry, and for each word of bits how many are set before it.
    Arena arena;
    const int64_t words = ceil_div(entries, 64);
    uint64_t* seen = arena.take<uint64_t>(words);
    int32_t* before = arena.take<int32_t>(words);
    std::memset(seen, 0, static_cast<size_t>(words) * sizeof(uint64_t));
    for (int64_t i = 0; i < count; ++i) seen[rows[i] >> 6] |= uint64_t(1) << (rows[i] & 63);
    int32_t found = 0;
    for (int64_t w = 0; w < words; ++w) {
        before[w] = found;
        found += bits_set(seen[w]);
    }
    for (int64_t i = 0; i < count; ++i) {
        const int64_t w = rows[i] >> 6;
        numbers[i] = before[w] + bits_set(seen[w] & ((uint64_t(1) << (rows[i] & 63)) - 1));
        touched[numbers[i]] = rows[i];
    }
    return found;
}

template <class T>
void weighted_bag(const T* table, const int32_t* rows, const T* weights, const int64_t* lengths, T* out, int64_t tokens,
                  int64_t dim, int threads, Isa isa) {
    Arena arena;
    run_bag(table, rows, weights, offsets_of(lengths, tokens, arena), out, tokens, dim, threads, kernels_for<T>(isa));
}

template <class T>
void bag_gradient(const T* d_out, const int32_t* rows, const T* weights, const int64_t* lengths, T* d_table, int64_t tokens,
                  int64_t entries, int64_t dim, int threads, Isa isa) {
    // The gradient of a row is the sum of d_out over the tokens that it stands in: a bag of tokens. The occurrences are
    // sorted by row, those of a row in the order of tokens.
    Arena arena;
    int64_t total = 0;
    for (int64_t k = 0; k < tokens; ++k) total += lengths[k];
    int64_t* offsets = arena.take<int64_t>(entries + 1);
    std::memset(offsets, 0, static_cast<size_t>(entries + 1) * sizeof(int64_t));
    for (int64_t i = 0; i < total; ++i) ++offsets[rows[i] + 1];
    for (int64_t e = 0; e < entries; ++e) offsets[e + 1] += offsets[e];
    int64_t* next = arena.take<int64_t>(entries);
    std::memcpy(next, offsets, static_cast<size_t>(entries) * sizeof(int64_t));
    int32_t* token_of = arena.take<int32_t>(total);
    T* weight_of = weights ? arena.take<T>(total) : nullptr;
    for (int64_t k = 0, i = 0; k < tokens; ++k) {
        for (const int64_t end = i + lengths[k]; i < end; ++i) {
            const int64_t place = next[rows[i]]++;
            token_of[place] = static_cast<int32_t>(k);
            if (weights) weight_of[place] = weights[i];
        }
    }
    run_bag(d_out, token_of, static_cast<const T*>(weight_of), offsets, d_table, entries, dim, threads, kernels_for<T>(isa));
}

template <class T>
void pool(const Pool<T>& p, int threads, Isa isa) {
    const auto run = kernels_for<T>(isa).step.pool;
    over_sequences(p.lengths, p.batch, p.width, threads, [&](int64_t begin, int64_t end, int64_t offset) { run(p, begin, end, offset); });
}

template <class T>
void pool_gradient(const PoolGradient<T>& p, int threads, Isa isa) {
    const auto run = kernels_for<T>(isa).step.pool_gradient;
    over_sequences(p.lengths, p.batch, p.width, threads, [&](int64_t begin, int64_t end, int64_t offset) { run(p, begin, end, offset); });
}

template <class T>
void scale_rows(const T* values, const int64_t* lengths, const T* by_sequence, const T* by_token, T* out, int64_t batch,
                int64_t width, int threads, Isa isa) {
    const auto run = kernels_for<T>(isa).step.scale;
    over_sequences(lengths, batch, width, threads, [&](int64_t begin, int64_t end, int64_t offset) {
        for (int64_t b = begin; b < end; offset += lengths[b++]) {
            run(values + offset * width, by_sequence ? by_sequence + b * width : nullptr, by_token ? by_token + offset : nullptr,
                out + offset * width, lengths[b], width);
        }
    });
}

template <class T>
void random_mask(T* out, int64_t count, double drop, T kept, uint64_t seed, int threads, Isa isa) {
    const auto run = kernels_for<T>(isa).step.random_mask;
    const uint32_t threshold = static_cast<uint32_t>(std::min(drop * 4294967296.0, 4294967295.0));
    over_blocks(count, int64_t(1) << 14, 8, threads, [&](int64_t begin, int64_t end) { run(out, begin, end, threshold, kept, seed); });
}

template <class T>
double square_sum(const T* values, int64_t count, int threads, Isa isa) {
    Arena arena;
    const auto run = kernels_for<T>(isa).step.square_sum;
    const int64_t block = int64_t(1) << 15, blocks = ceil_div(count, block);
    double* part = arena.take<double>(blocks);
    over_blocks(count, block, 2, threads, [&](int64_t begin, int64_t end) { part[begin / block] = run(values + begin, end - begin); });
    double total = 0;
    for (int64_t k = 0; k < blocks; ++k) total += part[k];
    return total;
}

template <class T>
void adam(const Adam<T>& rule, T* weights, T* first, T* second, const T* gradient, int64_t count, int threads, Isa isa) {
    const auto run = kernels_for<T>(isa).step.adam;
    over_blocks(count, int64_t(1) << 13, 16, threads, [&](int64_t begin, int64_t end) {
        run(rule, weights + begin, first + begin, second + begin, gradient + begin, end - begin);
    });
}

template <class T>
void adam_rows(const Adam<T>& rule, T* weights, T* first, T* second, const int32_t* rows, const T* gradient, int64_t count,
               int64_t dim, int threads, Isa isa) {
    const auto run = kernels_for<T>(isa).step.adam_rows;
    over_blocks(count, 256, 16.0 * static_cast<double>(dim), threads, [&](int64_t begin, int64_t end) {
        run(rule, weights, first, second, rows + begin, gradient + begin * dim, end - begin, dim);
    });
}

#define UNROLLED_STEP(T)                                                                                                        \
    template void weighted_bag<T>(const T*, const int32_t*, const T*, const int64_t*, T*, int64_t, int64_t, int, Isa);          \
    template void bag_gradient<T>(const T*, const int32_t*, const T*, const int64_t*, T*, int64_t, int64_t, int64_t, int, Isa); \
    template void pool<T>(const Pool<T>&, int, Isa);                                                                            \
    template void pool_gradient<T>(const PoolGradient<T>&, int, Isa);                                                           \
    template void scale_rows<T>(const T*, const int64_t*, const T*, const T*, T*, int64_t, int64_t, int, Isa);                  \
    template void random_mask<T>(T*, int64_t, double, T, uint64_t, int, Isa);                                                   \
    template double square_sum<T>(const T*, int64_t, int, Isa);                                                                 \
    template void adam<T>(const Adam<T>&, T*, T*, T*, const T*, int64_t, int, Isa);                                             \
    template void adam_rows<T>(const Adam<T>&, T*, T*, T*, const int32_t*, const T*, int64_t, int64_t, int, Isa);
UNROLLED_STEP(float)
UNROLLED_STEP(double)
#undef UNROLLED_STEP

}  // namespace unrolled
