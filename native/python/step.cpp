// What a training step does beside the recurrent layers, over numpy arrays. Shapes are checked by the Python side, types
// and contiguity here. The interpreter lock is released while the core works.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>

#include "unrolled/step.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using unrolled::Isa;

// The elements of a C-contiguous array; null for None.
template <class T>
T* data(nb::handle object) {
    if (object.is_none()) return nullptr;
    auto array = nb::cast<nb::ndarray<T, nb::device::cpu>>(object, false);
    int64_t expected = 1;
    for (size_t i = array.ndim(); i-- > 0; expected *= static_cast<int64_t>(array.shape(i)))
        if (array.size() > 0 && array.shape(i) > 1 && array.stride(i) != expected)
            throw std::invalid_argument("the engine needs C-contiguous arrays");
    return array.data();
}

// Whether all rows lie in [0, entries), and whether no length is negative and they add up: numpy's own reductions cost
// microseconds each, which is what a short text takes.
bool rows_within(nb::handle rows, int64_t count, int64_t entries) {
    const int32_t* from = data<const int32_t>(rows);
    const uint32_t bound = static_cast<uint32_t>(entries < INT32_MAX ? entries : INT32_MAX);
    bool within = true;
    for (int64_t i = 0; i < count; ++i) within &= static_cast<uint32_t>(from[i]) < bound;
    return within;
}

bool lengths_fit(nb::handle lengths, int64_t count, int64_t total) {
    const int64_t* from = data<const int64_t>(lengths);
    int64_t sum = 0, negative = 0;
    for (int64_t i = 0; i < count; ++i) {
        sum += from[i];
        negative |= from[i];
    }
    return sum == total && negative >= 0;
}

int64_t number_rows(nb::handle rows, int64_t count, int64_t entries, nb::handle touched, nb::handle numbers) {
    const int32_t* from = data<const int32_t>(rows);
    int32_t *distinct = data<int32_t>(touched), *to = data<int32_t>(numbers);
    nb::gil_scoped_release unlocked;
    return unrolled::number_rows(from, count, entries, distinct, to);
}

template <class T>
void weighted_bag(nb::handle table, nb::handle rows, nb::handle weights, nb::handle lengths, nb::handle out, int64_t tokens,
                  int64_t dim, int threads, int isa) {
    const T *from = data<const T>(table), *by = data<const T>(weights);
    const int32_t* ids = data<const int32_t>(rows);
    const int64_t* counts = data<const int64_t>(lengths);
    T* to = data<T>(out);
    nb::gil_scoped_release unlocked;
    unrolled::weighted_bag(from, ids, by, counts, to, tokens, dim, threads, static_cast<Isa>(isa));
}

template <class T>
void bag_gradient(nb::handle d_out, nb::handle rows, nb::handle weights, nb::handle lengths, nb::handle d_table, int64_t tokens,
                  int64_t entries, int64_t dim, int threads, int isa) {
    const T *from = data<const T>(d_out), *by = data<const T>(weights);
    const int32_t* ids = data<const int32_t>(rows);
    const int64_t* counts = data<const int64_t>(lengths);
    T* to = data<T>(d_table);
    nb::gil_scoped_release unlocked;
    unrolled::bag_gradient(from, ids, by, counts, to, tokens, entries, dim, threads, static_cast<Isa>(isa));
}

// `out` holds the sums or means, if wanted, and then the maxima, if wanted (where is given): rows of `stride` elements.
template <class T>
void pool(nb::handle values, nb::handle lengths, nb::handle out, nb::handle where, bool mean, bool divide, int64_t batch,
          int64_t width, int threads, int isa) {
    unrolled::Pool<T> p;
    p.batch = batch;
    p.width = width;
    p.lengths = data<const int64_t>(lengths);
    p.values = data<const T>(values);
    p.where = data<int32_t>(where);
    T* to = data<T>(out);
    p.mean = mean ? to : nullptr;
    p.largest = p.where ? to + (mean ? width : 0) : nullptr;
    p.out_stride = width * (int64_t(mean) + int64_t(p.where != nullptr));
    p.divide = divide;
    nb::gil_scoped_release unlocked;
    unrolled::pool(p, threads, static_cast<Isa>(isa));
}

template <class T>
void pool_gradient(nb::handle d_out, nb::handle lengths, nb::handle d_values, nb::handle where, bool mean, bool divide,
                   int64_t batch, int64_t width, int threads, int isa) {
    unrolled::PoolGradient<T> p;
    p.batch = batch;
    p.width = width;
    p.lengths = data<const int64_t>(lengths);
    p.where = data<const int32_t>(where);
    const T* from = data<const T>(d_out);
    p.d_mean = mean ? from : nullptr;
    p.d_largest = p.where ? from + (mean ? width : 0) : nullptr;
    p.d_stride = width * (int64_t(mean) + int64_t(p.where != nullptr));
    p.divide = divide;
    p.d_values = data<T>(d_values);
    nb::gil_scoped_release unlocked;
    unrolled::pool_gradient(p, threads, static_cast<Isa>(isa));
}

template <class T>
void scale_rows(nb::handle values, nb::handle lengths, nb::handle by_sequence, nb::handle by_token, nb::handle out,
                int64_t batch, int64_t width, int threads, int isa) {
    const T *from = data<const T>(values), *sequence = data<const T>(by_sequence), *token = data<const T>(by_token);
    const int64_t* counts = data<const int64_t>(lengths);
    T* to = data<T>(out);
    nb::gil_scoped_release unlocked;
    unrolled::scale_rows(from, counts, sequence, token, to, batch, width, threads, static_cast<Isa>(isa));
}

template <class T>
void random_mask(nb::handle out, int64_t count, double drop, double kept, uint64_t seed, int threads, int isa) {
    T* to = data<T>(out);
    nb::gil_scoped_release unlocked;
    unrolled::random_mask(to, count, drop, static_cast<T>(kept), seed, threads, static_cast<Isa>(isa));
}

template <class T>
double square_sum(nb::handle values, int64_t count, int threads, int isa) {
    const T* from = data<const T>(values);
    nb::gil_scoped_release unlocked;
    return unrolled::square_sum(from, count, threads, static_cast<Isa>(isa));
}

// `rule` holds scale, beta1, beta2, eps, size and keep; `rows` is None for all elements.
template <class T>
void adam(nb::tuple rule, nb::handle weights, nb::handle first, nb::handle second, nb::handle rows, nb::handle gradient,
          int64_t count, int64_t dim, int threads, int isa) {
    double n[6];
    for (size_t i = 0; i < 6; ++i) n[i] = nb::cast<double>(rule[i]);
    const unrolled::Adam<T> r = {T(n[0]), T(1 - n[1]), T(n[2]), T(1 - n[2]), T(n[3]), T(n[4]), T(n[5])};
    T *w = data<T>(weights), *m = data<T>(first), *v = data<T>(second);
    const int32_t* ids = data<const int32_t>(rows);
    const T* g = data<const T>(gradient);
    nb::gil_scoped_release unlocked;
    if (ids) {
        unrolled::adam_rows(r, w, m, v, ids, g, count, dim, threads, static_cast<Isa>(isa));
    } else {
        unrolled::adam(r, w, m, v, g, count, threads, static_cast<Isa>(isa));
    }
}

template <class T>
void define(nb::module_& m, const std::string& suffix) {
    m.def(("weighted_bag" + suffix).c_str(), &weighted_bag<T>);
    m.def(("bag_gradient" + suffix).c_str(), &bag_gradient<T>, "d_out"_a, "rows"_a, "weights"_a.none(), "lengths"_a, "d_table"_a,
          "tokens"_a, "entries"_a, "dim"_a, "threads"_a, "isa"_a);
    m.def(("pool" + suffix).c_str(), &pool<T>, "values"_a, "lengths"_a, "out"_a, "where"_a.none(), "mean"_a, "divide"_a, "batch"_a,
          "width"_a, "threads"_a, "isa"_a);
    m.def(("pool_gradient" + suffix).c_str(), &pool_gradient<T>, "d_out"_a, "lengths"_a, "d_values"_a, "where"_a.none(), "mean"_a,
          "divide"_a, "batch"_a, "width"_a, "threads"_a, "isa"_a);
    m.def(("scale_rows" + suffix).c_str(), &scale_rows<T>, "values"_a, "lengths"_a, "by_sequence"_a.none(), "by_token"_a.none(),
          "out"_a, "batch"_a, "width"_a, "threads"_a, "isa"_a);
    m.def(("random_mask" + suffix).c_str(), &random_mask<T>);
    m.def(("square_sum" + suffix).c_str(), &square_sum<T>);
    m.def(("adam" + suffix).c_str(), &adam<T>, "rule"_a, "weights"_a, "first"_a, "second"_a, "rows"_a.none(), "gradient"_a, "count"_a,
          "dim"_a, "threads"_a, "isa"_a);
}

}  // namespace

void define_step(nb::module_& m) {
    m.def("rows_within", &rows_within);
    m.def("lengths_fit", &lengths_fit);
    m.def("number_rows", &number_rows);
    define<float>(m, "_f32");
    define<double>(m, "_f64");
}
