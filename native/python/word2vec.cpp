// Word vectors over numpy arrays. Shapes and ranges are checked by the Python side (unrolled/engine/word2vec.py).
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <tuple>

#include "unrolled/word2vec.h"

namespace nb = nanobind;

namespace {

// The elements of a contiguous array; null for None.
template <class T>
T* elements(const nb::dict& arrays, const char* name) {
    const nb::object array = arrays[name];
    if (array.is_none()) return nullptr;
    return nb::cast<nb::ndarray<T, nb::c_contig, nb::device::cpu>>(array, false).data();
}

template <class T>
T number(const nb::dict& numbers, const char* name) {
    return nb::cast<T>(numbers[name]);
}

nb::tuple train(const nb::dict& arrays, const nb::dict& numbers, int64_t epoch, int64_t first, int64_t last, int threads,
                int lanes, int isa) {
    unrolled::Word2vec m;
    m.tokens = elements<const int32_t>(arrays, "tokens");
    m.order = elements<const int32_t>(arrays, "order");
    m.input = elements<float>(arrays, "input");
    m.output = elements<float>(arrays, "output");
    m.keep = elements<const uint32_t>(arrays, "keep");
    m.threshold = elements<const uint32_t>(arrays, "threshold");
    m.alias = elements<const int32_t>(arrays, "alias");
    m.path_starts = elements<const int64_t>(arrays, "path_starts");
    m.path_nodes = elements<const int32_t>(arrays, "path_nodes");
    m.path_labels = elements<const uint8_t>(arrays, "path_labels");
    m.bag_starts = elements<const int64_t>(arrays, "bag_starts");
    m.bag_rows = elements<const int32_t>(arrays, "bag_rows");
    m.count = number<int64_t>(numbers, "count");
    m.chunk = number<int64_t>(numbers, "chunk");
    m.chunks = number<int64_t>(numbers, "chunks");
    m.words = number<int64_t>(numbers, "words");
    m.stride = number<int64_t>(numbers, "stride");
    m.cbow = number<bool>(numbers, "cbow");
    m.window = number<int>(numbers, "window");
    m.negative = number<int>(numbers, "negative");
    m.share = number<int>(numbers, "share");
    m.run = number<int>(numbers, "run");
    m.seed = number<uint64_t>(numbers, "seed");
    m.rate_first = number<double>(numbers, "rate_first");
    m.rate_last = number<double>(numbers, "rate_last");
    m.epochs = number<int64_t>(numbers, "epochs");
    unrolled::Word2vecReport report;
    {
        nb::gil_scoped_release unlocked;
        report = unrolled::word2vec_train(m, epoch, first, last, threads, lanes, static_cast<unrolled::Isa>(isa));
    }
    return nb::make_tuple(report.windows, report.losses, report.loss);
}

using Table = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Ids = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Labels = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void step(Table input, Table output, Ids inputs, Ids outputs, Labels labels, float rate, int isa) {
    unrolled::word2vec_step(input.data(), output.data(), static_cast<int64_t>(input.shape(1)), inputs.data(),
                            static_cast<int>(inputs.shape(0)), outputs.data(), labels.data(),
                            static_cast<int>(outputs.shape(0)), rate, static_cast<unrolled::Isa>(isa));
}

}  // namespace

void define_word2vec(nb::module_& m) {
    m.def("word2vec_train", &train);
    m.def("word2vec_step", &step);
}
