// unrolled.engine._native: the core over numpy arrays. Shapes are checked by the Python side (unrolled/engine), types and
// contiguity here. The interpreter lock is released while the core works.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "unrolled/engine.h"
#include "unrolled/memory.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// The elements of an array whose rows are contiguous; null for None. `row_stride` receives the distance between rows.
template <class T>
T* elements(nb::handle object, int64_t* row_stride = nullptr) {
    if (object.is_none()) return nullptr;
    auto array = nb::cast<nb::ndarray<T, nb::device::cpu>>(object, false);
    if (row_stride && array.ndim() == 2) *row_stride = static_cast<int64_t>(array.shape(1));
    if (array.size() == 0) return array.data();
    int64_t expected = 1;
    for (size_t i = array.ndim(); i-- > 0;) {
        if (i == 0 && row_stride && array.ndim() == 2) {
            if (array.shape(0) > 1) *row_stride = array.stride(0);
            break;
        }
        if (array.shape(i) > 1 && array.stride(i) != expected) throw std::invalid_argument("the engine needs C-contiguous arrays");
        expected *= static_cast<int64_t>(array.shape(i));
    }
    return array.data();
}

template <class T>
struct Packed {
    std::shared_ptr<const unrolled::PackedLayer<T>> layer;
};

template <class T>
void forward(int kind, int64_t hidden, int64_t input, nb::handle lengths, int64_t total, nb::list directions, bool save,
             int threads, int isa, nb::object packed) {
    std::vector<unrolled::Forward<T>> calls;
    for (nb::handle item : directions) {
        nb::tuple a = nb::cast<nb::tuple>(item);
        unrolled::Forward<T> f;
        f.kind = static_cast<unrolled::Kind>(kind);
        f.hidden = hidden;
        f.input = input;
        f.total = total;
        f.save = save;
        f.batch = static_cast<int64_t>(nb::len(lengths));
        f.lengths = elements<const int64_t>(lengths);
        f.reverse = nb::cast<bool>(a[0]);
        f.x = elements<const T>(a[1], &f.x_stride);
        f.rows = elements<const int32_t>(a[2]);
        f.w_ih = elements<const T>(a[3]);
        f.b_ih = elements<const T>(a[4]);
        f.xw = elements<T>(a[5]);
        f.w_hh = elements<const T>(a[6]);
        f.b_hh = elements<const T>(a[7]);
        f.h0 = elements<const T>(a[8]);
        f.c0 = elements<const T>(a[9]);
        f.h_mask = elements<const T>(a[10]);
        f.out = elements<T>(a[11], &f.out_stride);
        f.h_n = elements<T>(a[12]);
        f.c_n = elements<T>(a[13]);
        f.cells = elements<T>(a[14]);
        calls.push_back(f);
    }
    const unrolled::PackedLayer<T>* prepared = packed.is_none() ? nullptr : nb::cast<Packed<T>&>(packed).layer.get();
    nb::gil_scoped_release unlocked;
    unrolled::forward(calls.data(), static_cast<int>(calls.size()), threads, static_cast<unrolled::Isa>(isa), prepared);
}

template <class T>
Packed<T> pack(int kind, int64_t hidden, int64_t input, nb::list directions, int isa, int precision) {
    std::vector<unrolled::Forward<T>> calls;
    for (nb::handle item : directions) {
        nb::tuple a = nb::cast<nb::tuple>(item);
        unrolled::Forward<T> f;
        f.kind = static_cast<unrolled::Kind>(kind);
        f.hidden = hidden;
        f.input = input;
        f.w_ih = elements<const T>(a[0]);
        f.w_hh = elements<const T>(a[1]);
        f.b_ih = elements<const T>(a[2]);
        f.b_hh = elements<const T>(a[3]);
        calls.push_back(f);
    }
    return {unrolled::pack_layer(calls.data(), static_cast<int>(calls.size()), static_cast<unrolled::Isa>(isa),
                                 static_cast<unrolled::Precision>(precision))};
}

template <class T>
void embedding_bag(nb::handle table, bool half, nb::handle rows, nb::handle lengths, nb::handle out, int64_t tokens,
                   int64_t dim, int threads, int isa) {
    // A table in half precision arrives as the uint16 view of its bits.
    const void* from = half ? static_cast<const void*>(elements<const uint16_t>(table)) : elements<const T>(table);
    const int32_t* ids = elements<const int32_t>(rows);
    const int64_t* counts = elements<const int64_t>(lengths);
    T* to = elements<T>(out);
    nb::gil_scoped_release unlocked;
    unrolled::embedding_bag<T>(from, half, ids, counts, to, tokens, dim, threads, static_cast<unrolled::Isa>(isa));
}

template <class T>
void backward(int kind, int64_t hidden, int64_t input, nb::handle lengths, int64_t total, nb::list directions, int threads,
              int isa) {
    std::vector<unrolled::Backward<T>> calls;
    for (nb::handle item : directions) {
        nb::tuple a = nb::cast<nb::tuple>(item);
        unrolled::Backward<T> b;
        b.kind = static_cast<unrolled::Kind>(kind);
        b.hidden = hidden;
        b.input = input;
        b.total = total;
        b.batch = static_cast<int64_t>(nb::len(lengths));
        b.lengths = elements<const int64_t>(lengths);
        b.reverse = nb::cast<bool>(a[0]);
        b.w_hh = elements<const T>(a[1]);
        b.h0 = elements<const T>(a[2]);
        b.c0 = elements<const T>(a[3]);
        b.h_mask = elements<const T>(a[4]);
        b.gates = elements<const T>(a[5]);
        b.cells = elements<const T>(a[6]);
        b.out = elements<const T>(a[7], &b.out_stride);
        b.d_out = elements<const T>(a[8], &b.d_out_stride);
        b.d_h_n = elements<const T>(a[9]);
        b.d_c_n = elements<const T>(a[10]);
        b.d_xw = elements<T>(a[11]);
        b.d_hn = elements<T>(a[12]);
        b.d_h0 = elements<T>(a[13]);
        b.d_c0 = elements<T>(a[14]);
        b.d_w_hh = elements<T>(a[15]);
        b.d_b_hh = elements<T>(a[16]);
        b.x = elements<const T>(a[17], &b.x_stride);
        b.w_ih = elements<const T>(a[18]);
        b.d_w_ih = elements<T>(a[19]);
        b.d_b_ih = elements<T>(a[20]);
        b.d_x = elements<T>(a[21]);
        calls.push_back(b);
    }
    nb::gil_scoped_release unlocked;
    unrolled::backward(calls.data(), static_cast<int>(calls.size()), threads, static_cast<unrolled::Isa>(isa));
}

template <class T>
void linear(nb::handle x, nb::handle w, nb::handle bias, nb::handle out, int64_t rows, int64_t k, int64_t n, int threads, int isa) {
    const T *px = elements<const T>(x), *pw = elements<const T>(w), *pb = elements<const T>(bias);
    T* target = elements<T>(out);
    nb::gil_scoped_release unlocked;
    unrolled::linear(px, pw, pb, target, rows, k, n, threads, static_cast<unrolled::Isa>(isa));
}

template <class T>
void linear_weight_gradient(nb::handle d, nb::handle x, nb::handle d_w, nb::handle d_bias, int64_t rows, int64_t k, int64_t n,
                            int threads, int isa) {
    const T *pd = elements<const T>(d), *px = elements<const T>(x);
    T *pw = elements<T>(d_w), *pb = elements<T>(d_bias);
    nb::gil_scoped_release unlocked;
    unrolled::linear_weight_gradient(pd, px, pw, pb, rows, k, n, threads, static_cast<unrolled::Isa>(isa));
}

template <class T>
void gather(nb::handle table, nb::handle ids, nb::handle out, int64_t count, int64_t dim, int threads) {
    const T* from = elements<const T>(table);
    const int32_t* rows = elements<const int32_t>(ids);
    T* to = elements<T>(out);
    nb::gil_scoped_release unlocked;
    unrolled::gather(from, rows, to, count, dim, threads);
}

// Uninitialised array whose memory goes back to the store when numpy lets go of it.
template <class T>
nb::object empty(nb::tuple shape) {
    std::vector<size_t> sizes;
    size_t count = 1;
    for (nb::handle size : shape) {
        sizes.push_back(nb::cast<size_t>(size));
        count *= sizes.back();
    }
    void* block = unrolled::take_memory(count * sizeof(T));
    nb::capsule owner(block, [](void* p) noexcept { unrolled::give_memory(p); });
    return nb::cast(nb::ndarray<nb::numpy, T>(block, sizes.size(), sizes.data(), owner));
}

template <class T>
void define(nb::module_& m, const char* type) {
    const std::string suffix = std::string("_") + type;
    nb::class_<Packed<T>>(m, ("Packed" + suffix).c_str());
    m.def(("pack" + suffix).c_str(), &pack<T>);
    m.def(("forward" + suffix).c_str(), &forward<T>, "kind"_a, "hidden"_a, "input"_a, "lengths"_a, "total"_a, "directions"_a,
          "save"_a, "threads"_a, "isa"_a, "packed"_a.none() = nb::none());
    m.def(("embedding_bag" + suffix).c_str(), &embedding_bag<T>);
    m.def(("backward" + suffix).c_str(), &backward<T>);
    m.def(("linear" + suffix).c_str(), &linear<T>, "x"_a, "w"_a, "bias"_a.none(), "out"_a, "rows"_a, "k"_a, "n"_a, "threads"_a, "isa"_a);
    m.def(("linear_weight_gradient" + suffix).c_str(), &linear_weight_gradient<T>, "d"_a, "x"_a, "d_w"_a, "d_bias"_a.none(),
          "rows"_a, "k"_a, "n"_a, "threads"_a, "isa"_a);
    m.def(("empty" + suffix).c_str(), &empty<T>);
    m.def(("gather" + suffix).c_str(), &gather<T>);
    m.def(("peak" + suffix).c_str(), [](int threads, int isa) {
        nb::gil_scoped_release unlocked;
        return unrolled::peak<T>(threads, static_cast<unrolled::Isa>(isa));
    });
}

}  // namespace

void define_crf(nb::module_& m);      // crf.cpp
void define_english(nb::module_& m);  // basic_english.cpp
void define_ngrams(nb::module_& m);   // ngrams.cpp
void define_step(nb::module_& m);     // step.cpp
void define_word2vec(nb::module_& m);  // word2vec.cpp

NB_MODULE(_native, m) {
    m.doc() = "Compiled recurrent layers over ragged batches; use unrolled.engine instead.";
    define<float>(m, "f32");
    define<double>(m, "f64");
    m.def("best_isa", [] { return static_cast<int>(unrolled::best_isa()); });
    m.def("isa_supported", [](int isa) { return unrolled::isa_supported(static_cast<unrolled::Isa>(isa)); });
    m.def("adopt_openmp", &unrolled::adopt_openmp);
    define_crf(m);
    define_english(m);
    define_ngrams(m);
    define_step(m);
    define_word2vec(m);
}
