// What a training step does beside the recurrent layers: sums of table rows and their gradient, pooling, dropout masks,
// Adam. The conventions are those of engine.h, and so is the promise that results do not depend on the number of
// threads: work is split in blocks of fixed size, and a sum is taken by one thread in one order.
#pragma once

#include <cstdint>

#include "unrolled/engine.h"

namespace unrolled {

// The distinct values of rows (count,), ascending, go to touched (room for min(count, entries)); returns how many there
// are. numbers (count,): the place of each row among them. The caller has checked 0 <= rows < entries.
int64_t number_rows(const int32_t* rows, int64_t count, int64_t entries, int32_t* touched, int32_t* numbers);

// As embedding_bag, each row times its weight: weights (sum of lengths,).
template <class T>
void weighted_bag(const T* table, const int32_t* rows, const T* weights, const int64_t* lengths, T* out, int64_t tokens,
                  int64_t dim, int threads, Isa isa);

// Gradient of either bag with respect to its table: d_table (entries, dim), written in full, from d_out (tokens, dim).
// weights may be null: ones.
template <class T>
void bag_gradient(const T* d_out, const int32_t* rows, const T* weights, const int64_t* lengths, T* d_table, int64_t tokens,
                  int64_t entries, int64_t dim, int threads, Isa isa);

// Each sequence of a ragged batch becomes one row. Either of mean and largest may be null; both have rows of out_stride
// elements. An empty sequence gives zeros. A NaN is larger than every number; of equal elements the first one counts.
template <class T>
struct Pool {
    int64_t batch = 0, width = 0;
    const int64_t* lengths = nullptr;  // (batch,)
    const T* values = nullptr;         // (total, width)
    T* mean = nullptr;                 // (batch, width)
    T* largest = nullptr;              // (batch, width)
    int64_t out_stride = 0;
    bool divide = true;                // false: mean receives the sum
    int32_t* where = nullptr;          // (batch, width) step of the largest element; with largest only
};

template <class T>
void pool(const Pool<T>& p, int threads, Isa isa);

// Gradient with respect to values: d_values (total, width), written in full. d_mean and d_largest as mean and largest.
template <class T>
struct PoolGradient {
    int64_t batch = 0, width = 0;
    const int64_t* lengths = nullptr;
    const T* d_mean = nullptr;
    const T* d_largest = nullptr;
    int64_t d_stride = 0;
    bool divide = true;
    const int32_t* where = nullptr;
    T* d_values = nullptr;
};

template <class T>
void pool_gradient(const PoolGradient<T>& p, int threads, Isa isa);

// out (total, width) = values, each row times by_sequence[its sequence] (batch, width) and times by_token[row] (total,).
// Either may be null: ones. It is its own gradient.
template <class T>
void scale_rows(const T* values, const int64_t* lengths, const T* by_sequence, const T* by_token, T* out, int64_t batch,
                int64_t width, int threads, Isa isa);

// Elements (count,) that are 0 with probability `drop` and `kept` otherwise. Element i depends on seed and i alone:
//   z = seed + (i / 2 + 1) 0x9E3779B97F4A7C15, mixed by the finaliser of SplitMix64 (Steele, Lea, Flood 2014); the lower
//   half of z belongs to even i, the upper one to odd i; the element is 0 where its half is below drop * 2^32.
template <class T>
void random_mask(T* out, int64_t count, double drop, T kept, uint64_t seed, int threads, Isa isa);

template <class T>
double square_sum(const T* values, int64_t count, int threads, Isa isa);

// One step of Adam, elementwise (Kingma and Ba 2015); the corrections of its averages are in `size` and `eps`:
//   g = scale * gradient, m += gain1 (g - m), v = beta2 v + gain2 g^2, w = keep * w - size * m / (sqrt(v) + eps)
// gain1 and gain2 are 1 - beta1 and 1 - beta2, rounded once.
template <class T>
struct Adam {
    T scale, gain1, beta2, gain2, eps, size, keep;
};

// All elements: weights, first, second and gradient (count,).
template <class T>
void adam(const Adam<T>& rule, T* weights, T* first, T* second, const T* gradient, int64_t count, int threads, Isa isa);

// Some rows of a table: weights, first, second (entries, dim); rows (count,), none twice; gradient (count, dim).
template <class T>
void adam_rows(const Adam<T>& rule, T* weights, T* first, T* second, const int32_t* rows, const T* gradient, int64_t count,
               int64_t dim, int threads, Isa isa);

}  // namespace unrolled
