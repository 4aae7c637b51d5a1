// The linear-chain CRF over numpy arrays. Shapes and ranges are checked by the Python side (unrolled/engine/crf.py).
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string>

#include "unrolled/crf.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using unrolled::Isa;

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// `chain` holds scores, lengths, transitions, start and end.
template <class T>
unrolled::Crf<T> chain_of(nb::tuple chain) {
    const auto numbers = [&](size_t i) { return nb::cast<Array<const T>>(chain[i], false).data(); };
    const auto lengths = nb::cast<Array<const int64_t>>(chain[1], false);
    unrolled::Crf<T> p;
    p.batch = static_cast<int64_t>(lengths.shape(0));
    p.lengths = lengths.data();
    p.scores = numbers(0);
    p.transitions = numbers(2);
    p.start = numbers(3);
    p.end = numbers(4);
    p.tags = static_cast<int64_t>(nb::cast<Array<const T>>(chain[3], false).shape(0));
    return p;
}

template <class T>
void loss(nb::tuple chain, Array<const int32_t> targets, nb::object weights, Array<T> losses, Array<T> d_scores,
          Array<T> d_transitions, Array<T> d_start, Array<T> d_end, int threads, int isa) {
    const unrolled::Crf<T> p = chain_of<T>(chain);
    unrolled::CrfLoss<T> to;
    to.targets = targets.data();
    to.weights = weights.is_none() ? nullptr : nb::cast<Array<const T>>(weights, false).data();
    to.losses = losses.data();
    to.d_scores = d_scores.data();
    to.d_transitions = d_transitions.data();
    to.d_start = d_start.data();
    to.d_end = d_end.data();
    nb::gil_scoped_release unlocked;
    unrolled::crf_loss(p, to, threads, static_cast<Isa>(isa));
}

template <class T>
int64_t marginals(nb::tuple chain, Array<T> out, int threads, int isa) {
    const unrolled::Crf<T> p = chain_of<T>(chain);
    T* to = out.data();
    nb::gil_scoped_release unlocked;
    return unrolled::crf_marginals(p, to, threads, static_cast<Isa>(isa));
}

template <class T>
void decode(nb::tuple chain, Array<int32_t> decoded, Array<T> best, int threads, int isa) {
    const unrolled::Crf<T> p = chain_of<T>(chain);
    int32_t* tags = decoded.data();
    T* scores = best.data();
    nb::gil_scoped_release unlocked;
    unrolled::crf_decode(p, tags, scores, threads, static_cast<Isa>(isa));
}

template <class T>
void define(nb::module_& m, const std::string& suffix) {
    m.def(("crf_loss" + suffix).c_str(), &loss<T>, "chain"_a, "targets"_a.noconvert(), "weights"_a.none(), "losses"_a.noconvert(),
          "d_scores"_a.noconvert(), "d_transitions"_a.noconvert(), "d_start"_a.noconvert(), "d_end"_a.noconvert(), "threads"_a,
          "isa"_a);
    m.def(("crf_marginals" + suffix).c_str(), &marginals<T>, "chain"_a, "out"_a.noconvert(), "threads"_a, "isa"_a);
    m.def(("crf_decode" + suffix).c_str(), &decode<T>, "chain"_a, "decoded"_a.noconvert(), "best"_a.noconvert(), "threads"_a,
          "isa"_a);
}

}  // namespace

void define_crf(nb::module_& m) {
    define<float>(m, "_f32");
    define<double>(m, "_f64");
}
