// ngram_rows: the rows of the character n-grams of tokens or texts; see unrolled/text/ngrams.py for what they are. Reads
// Python's own string buffers, so it holds the interpreter lock.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "portability.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

constexpr uint64_t kBase = 0x9E3779B97F4A7C15u, kMix1 = 0xBF58476D1CE4E5B9u, kMix2 = 0x94D049BB133111EBu;

struct Hasher {
    int64_t min_n, max_n;
    uint64_t buckets;
    const int32_t* row_of;  // (buckets,) the row of each bucket or -1; null: a bucket is its own row

    // Adds the rows of all n-grams of a marked token, given as its code points + 1, by start and then by size.
    void add(const std::vector<uint64_t>& codes, std::vector<int32_t>& rows) const {
        const int64_t size = static_cast<int64_t>(codes.size());
        const size_t before = rows.size();
        size_t used = before;
        rows.resize(used + static_cast<size_t>(size * (max_n - min_n + 1)));
        int32_t* const to = rows.data();
        for (int64_t start = 0; start < size; ++start) {
            const bool mark = start == 0 || start == size - 1;
            const int64_t longest = std::min(max_n, size - start);
            uint64_t hash = 0;
            for (int64_t n = 1; n <= longest; ++n) {
                hash = hash * kBase + codes[start + n - 1];
                if (n < min_n || n == size || (n == 1 && mark)) continue;
                uint64_t z = (hash ^ (hash >> 30)) * kMix1;
                z = (z ^ (z >> 27)) * kMix2;
                z ^= z >> 31;
                const uint64_t bucket = ((z >> 32) * buckets) >> 32;
                // No cache holds the rows of all buckets: they are asked for before they are needed.
                if (row_of) UNROLLED_PREFETCH(row_of + bucket);
                to[used++] = static_cast<int32_t>(bucket);
            }
        }
        if (row_of) {
            size_t kept = before;
            for (size_t k = before; k < used; ++k) {
                // Whether there is a row cannot be predicted: the next one overwrites what is none.
                to[kept] = row_of[to[k]];
                kept += to[kept] >= 0;
            }
            used = kept;
        }
        rows.resize(used);
    }
};

template <class T>
nb::object as_array(std::vector<T>&& values) {
    auto* kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner));
}

// `heads`, if given, is a list of one row a text, which stands before its n-grams; those then count from `base`.
nb::tuple ngram_rows(nb::handle texts, int64_t min_n, int64_t max_n, uint64_t buckets, int64_t longest, nb::handle row_of,
                     bool distinct, nb::handle heads, int32_t base) {
    Hasher hasher{min_n, max_n, buckets, nullptr};
    if (!row_of.is_none()) {
        auto array = nb::cast<nb::ndarray<const int32_t, nb::device::cpu, nb::ndim<1>, nb::c_contig>>(row_of, false);
        if (array.size() != buckets) throw std::invalid_argument("row_of needs one row a bucket");
        hasher.row_of = array.data();
    }
    // A copy of the references, so that nobody can change the list in between.
    PyObject* sequence = PySequence_Tuple(texts.ptr());
    if (!sequence) throw nb::python_error();
    const nb::object fixed = nb::steal(sequence);
    const Py_ssize_t count = PyTuple_GET_SIZE(sequence);
    std::vector<int32_t> rows;
    std::vector<int64_t> lengths;
    std::vector<uint64_t> codes;
    lengths.reserve(static_cast<size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* text = PyTuple_GET_ITEM(sequence, i);
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "text %zd is %s, not str", i, Py_TYPE(text)->tp_name);
            throw nb::python_error();
        }
        const int64_t size = std::min<int64_t>(longest, PyUnicode_GET_LENGTH(text));
        const int kind = PyUnicode_KIND(text);
        const void* characters = PyUnicode_DATA(text);
        codes.clear();
        codes.push_back(uint64_t('<') + 1);
        for (int64_t k = 0; k < size; ++k) codes.push_back(uint64_t(PyUnicode_READ(kind, characters, k)) + 1);
        codes.push_back(uint64_t('>') + 1);
        const size_t before = rows.size();
        if (!heads.is_none()) rows.push_back(nb::cast<int32_t>(heads[i]));
        const size_t first_ngram = rows.size();
        hasher.add(codes, rows);
        for (size_t k = first_ngram; base && k < rows.size(); ++k) rows[k] += base;
        if (distinct) {
            const auto first = rows.begin() + static_cast<std::ptrdiff_t>(before);
            std::sort(first, rows.end());
            rows.erase(std::unique(first, rows.end()), rows.end());
        }
        lengths.push_back(static_cast<int64_t>(rows.size() - before));
    }
    return nb::make_tuple(as_array(std::move(rows)), as_array(std::move(lengths)));
}

}  // namespace

void define_ngrams(nb::module_& m) {
    m.def("ngram_rows", &ngram_rows, "texts"_a, "min_n"_a, "max_n"_a, "buckets"_a, "longest"_a, "row_of"_a.none(), "distinct"_a,
          "heads"_a.none() = nb::none(), "base"_a = 0);
}
