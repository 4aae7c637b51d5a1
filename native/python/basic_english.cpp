// split_english: torchtext's basic_english in one pass over Python's own string buffers.
//
// Why one pass is exact: every rule replaces a fixed string, only '"' is deleted before "<br />" is looked for, and no
// rule that comes earlier can complete a "<br />". Lower case is done character by character in ASCII, and by
// str.lower() once a new token elsewhere; U+03A3 alone has a lower case that depends on its neighbours, and a text that
// holds it is lowered as a whole first.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// What to do with a character below 256. A value below 256 is the character to add to the token.
enum Action : uint16_t { kSpace = 256, kTokenOfItsOwn, kDelete, kMaybeBreak };

constexpr Py_UCS4 kCapitalSigma = 0x3A3;
constexpr uint64_t kHashStart = 0xcbf29ce484222325u, kHashFactor = 0x100000001b3u;  // FNV-1a, over code points

PyObject* checked(PyObject* object) {
    if (!object) throw nb::python_error();
    return object;
}

template <class C>
bool equal(PyObject* string, const C* characters, Py_ssize_t count) {
    if (PyUnicode_GET_LENGTH(string) != count) return false;
    switch (PyUnicode_KIND(string)) {
        case PyUnicode_1BYTE_KIND: return std::equal(characters, characters + count, PyUnicode_1BYTE_DATA(string));
        case PyUnicode_2BYTE_KIND: return std::equal(characters, characters + count, PyUnicode_2BYTE_DATA(string));
        default: return std::equal(characters, characters + count, PyUnicode_4BYTE_DATA(string));
    }
}

template <class C>
PyObject* new_string(const C* characters, Py_ssize_t count) {
    return checked(PyUnicode_FromKindAndData(static_cast<int>(sizeof(C)), characters, count));
}

// Recent tokens, so that one that comes again costs a look and a count of references. Sets of two, the older of the two
// gives way. Lives as long as the process, holds at most kEntries short tokens, and is guarded by the interpreter lock.
class RecentTokens {
public:
    RecentTokens() : str_lower_(checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyUnicode_Type), "lower"))) {}

    // New reference to the lower case of `characters`, in which ASCII is lower case already.
    template <class C>
    PyObject* token(const C* characters, Py_ssize_t count, uint64_t hash, bool ascii) {
        if (count > kLongest) return lower(nb::steal(new_string(characters, count)).ptr());
        Entry* set = entries_ + ((hash ^ hash >> 32) & (kEntries / 2 - 1)) * 2;
        if (!holds(set[0], characters, count, hash)) {
            if (holds(set[1], characters, count, hash)) {
                std::swap(set[0], set[1]);
            } else {
                nb::object raw = nb::steal(new_string(characters, count));
                const bool is_lower = ascii || std::all_of(characters, characters + count, [](Py_UCS4 c) {
                    return static_cast<Py_UCS4>(Py_UNICODE_TOLOWER(c)) == c;
                });
                PyObject* lowered = is_lower ? Py_NewRef(raw.ptr()) : lower(raw.ptr());
                const Entry older = std::exchange(set[1], set[0]);
                set[0] = {hash, raw.release().ptr(), lowered};
                Py_XDECREF(older.raw);
                Py_XDECREF(older.token);
            }
        }
        return Py_NewRef(set[0].token);
    }

    // New reference to str.lower() of a string, even if a derived class has another lower().
    PyObject* lower(PyObject* string) { return checked(PyObject_CallOneArg(str_lower_, string)); }

private:
    static constexpr size_t kEntries = 16384;
    static constexpr Py_ssize_t kLongest = 48;

    struct Entry {
        uint64_t hash;
        PyObject* raw;
        PyObject* token;
    };

    template <class C>
    static bool holds(const Entry& entry, const C* characters, Py_ssize_t count, uint64_t hash) {
        return entry.hash == hash && entry.raw && equal(entry.raw, characters, count);
    }

    PyObject* str_lower_;
    Entry entries_[kEntries] = {};
};

struct Rules {
    uint16_t action[256];
    PyObject* own_token[128] = {};
    RecentTokens recent;

    Rules() {
        for (unsigned c = 0; c < 256; ++c) {
            action[c] = static_cast<uint16_t>(c >= 'A' && c <= 'Z' ? c + 32 : c);
            if (Py_UNICODE_ISSPACE(c)) action[c] = kSpace;
        }
        action[';'] = action[':'] = kSpace;
        action['"'] = kDelete;
        action['<'] = kMaybeBreak;
        for (const char c : {'\'', '.', ',', '(', ')', '!', '?'}) {
            const auto place = static_cast<unsigned char>(c);
            action[place] = kTokenOfItsOwn;
            own_token[place] = new_string(&place, 1);
        }
    }
};

// Owned references on their way into a list.
struct Found {
    std::vector<PyObject*> tokens;

    ~Found() { std::for_each(tokens.begin(), tokens.end(), [](PyObject* token) { Py_DECREF(token); }); }

    void add(PyObject* token) {
        nb::object held = nb::steal(token);
        tokens.push_back(token);
        held.release();
    }

    nb::object to_list() {
        PyObject* list = checked(PyList_New(static_cast<Py_ssize_t>(tokens.size())));
        for (size_t i = 0; i < tokens.size(); ++i) PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), tokens[i]);
        tokens.clear();
        return nb::steal(list);
    }
};

// Room for the longest token of a text.
struct Room {
    std::unique_ptr<std::byte[]> bytes;
    size_t size = 0;

    template <class C>
    C* at_least(size_t characters) {
        if (characters * sizeof(C) > size) {
            size = std::max<size_t>(characters * sizeof(C), 256);
            bytes.reset(new std::byte[size]);
        }
        return reinterpret_cast<C*>(bytes.get());
    }
};

// The place behind the rest of a "<br />", in which any number of '"' may stand; null if it is none.
template <class C>
const C* behind_break(const C* p, const C* end) {
    for (const char wanted : {'b', 'r', ' ', '/', '>'}) {
        while (p != end && *p == '"') ++p;
        if (p == end) return nullptr;
        const Py_UCS4 c = *p++;
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != static_cast<Py_UCS4>(wanted)) return nullptr;
    }
    return p;
}

template <class C>
void split(const C* p, size_t length, Rules& rules, Room& room, Found& found) {
    C* const token = room.at_least<C>(length);
    C* token_end = token;
    uint64_t hash = kHashStart;
    Py_UCS4 all_bits = 0;
    const auto add = [&](Py_UCS4 c) {
        *token_end++ = static_cast<C>(c);
        hash = (hash ^ c) * kHashFactor;
        all_bits |= c;
    };
    const auto finish = [&] {
        if (token_end == token) return;
        found.add(rules.recent.token(token, token_end - token, hash, all_bits < 128));
        token_end = token;
        hash = kHashStart;
        all_bits = 0;
    };
    for (const C* const end = p + length; p != end;) {
        const Py_UCS4 c = *p++;
        const uint16_t action = c < 256 ? rules.action[c] : Py_UNICODE_ISSPACE(c) ? kSpace : 0;
        if (action < 256) {
            add(c < 256 ? action : c);
        } else if (action == kMaybeBreak) {
            if (const C* behind = behind_break(p, end)) {
                p = behind;
                finish();
            } else {
                add(c);
            }
        } else if (action != kDelete) {
            finish();
            if (action == kTokenOfItsOwn) found.add(Py_NewRef(rules.own_token[c]));
        }
    }
    finish();
}

nb::object split_text(nb::handle given, Rules& rules, Room& room, Found& found) {
    nb::object text = nb::borrow(given);
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text.ptr()) < 0) throw nb::python_error();
#endif
    if (PyUnicode_KIND(text.ptr()) != PyUnicode_1BYTE_KIND) {
        const Py_ssize_t place = PyUnicode_FindChar(text.ptr(), kCapitalSigma, 0, PyUnicode_GET_LENGTH(text.ptr()), 1);
        if (place == -2) throw nb::python_error();
        if (place >= 0) text = nb::steal(rules.recent.lower(text.ptr()));
    }
    const auto length = static_cast<size_t>(PyUnicode_GET_LENGTH(text.ptr()));
    switch (PyUnicode_KIND(text.ptr())) {
        case PyUnicode_1BYTE_KIND: split(PyUnicode_1BYTE_DATA(text.ptr()), length, rules, room, found); break;
        case PyUnicode_2BYTE_KIND: split(PyUnicode_2BYTE_DATA(text.ptr()), length, rules, room, found); break;
        default: split(PyUnicode_4BYTE_DATA(text.ptr()), length, rules, room, found);
    }
    return found.to_list();
}

}  // namespace

void define_english(nb::module_& m) {
    // Never freed: the strings it holds may not be let go of once the interpreter has ended.
    Rules* rules = new Rules;
    m.def(
        "split_english",
        [rules](nb::handle texts) {
            // A copy of the references, as a finaliser that runs in between may change the caller's list.
            const nb::object fixed = nb::steal(checked(PySequence_Tuple(texts.ptr())));
            const Py_ssize_t count = PyTuple_GET_SIZE(fixed.ptr());
            nb::object lists = nb::steal(checked(PyList_New(0)));
            Room room;
            Found found;
            for (Py_ssize_t i = 0; i < count; ++i) {
                PyObject* text = PyTuple_GET_ITEM(fixed.ptr(), i);
                if (!PyUnicode_Check(text)) {
                    PyErr_Format(PyExc_TypeError, "text %zd is %s, not str", i, Py_TYPE(text)->tp_name);
                    throw nb::python_error();
                }
                if (PyList_Append(lists.ptr(), split_text(text, *rules, room, found).ptr()) < 0) throw nb::python_error();
            }
            return lists;
        },
        "texts"_a, "Tokens of torchtext's basic_english: sequence of str -> list of lists of str.");
}
