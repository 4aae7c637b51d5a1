// The compiled core of Unrolled: recurrent layers over ragged batches. No Python and no torch in here.
//
// Ragged batch. `values` of a batch lie one sequence after the other: all tokens of sequence 0, then all tokens of
// sequence 1, and so on; row `offset(b) + t` belongs to step t of sequence b, where offset(b) is the sum of the lengths
// before b. `total` is the sum of all lengths. Lengths come in any order and may be 0.
//
// Conventions for every pointer below
//   - C order, contiguous unless a row stride is given (strides count elements, not bytes);
//   - memory belongs to the caller; the core keeps no pointer after the call returns;
//   - const pointers are read only; the others are written in full for every valid row;
//   - "may be null" is said where it is allowed;
//   - G is the number of gates: 1 (RNN), 4 (LSTM: i, f, g, o), 3 (GRU: r, z, n), torch's order.
//
// Equations (h is h_{t-1}, m the recurrent dropout mask or 1, * elementwise):
//   RNN   h_t = act(xw + W (m*h) + b)
//   LSTM  i, f, o = sigmoid(xw + W (m*h) + b), g = tanh(xw + W (m*h) + b);  c_t = f*c + i*g;  h_t = o*tanh(c_t)
//   GRU   r, z = sigmoid(xw + W (m*h) + b), n = tanh(xw_n + r*(W_n (m*h) + b_n));  h_t = (1-z)*n + z*h
//
// Results do not depend on the number of threads, bit for bit: every sequence is computed by one thread with one
// order of summation, and sums over tokens are split by output rows only.
#pragma once

#include <cstdint>
#include <memory>

namespace unrolled {

enum class Kind : int { rnn_tanh = 0, rnn_relu = 1, lstm = 2, gru = 3 };

enum class Isa : int { generic = 0, avx2 = 1, avx512 = 2 };

inline int gate_count(Kind kind) { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }

// The weights of a layer in the order in which the scan reads them, for predictions that use them again and again.
// Holds a copy; may be shared by threads.
template <class T>
struct PackedLayer;

// One direction of one layer, forward. Either `xw` is given, or `x` with `w_ih` (the input projection is then done
// inside, a few time steps at a time, so that it stays in the cache).
template <class T>
struct Forward {
    Kind kind = Kind::rnn_tanh;
    bool reverse = false;              // scan each sequence from its last token to its first
    int64_t batch = 0;                 // sequences
    int64_t total = 0;                 // tokens of all sequences
    int64_t hidden = 0;                // H, any number >= 1
    int64_t input = 0;                 // width of x; 0 when xw is given
    const int64_t* lengths = nullptr;  // (batch,) tokens of each sequence, >= 0

    const T* x = nullptr;               // (total, input), row stride x_stride; null when xw is given.
    int64_t x_stride = 0;
    const int32_t* rows = nullptr;      // (total,) may be null. If given, token k reads row rows[k] of x: an embedding
                                        // lookup without a copy. The caller has checked the range.
    const T* w_ih = nullptr;            // (G*H, input), needed with x
    const T* b_ih = nullptr;            // (G*H,) may be null; added when x is projected
    T* xw = nullptr;                    // (total, G*H). In: x W_ih^T + b_ih when x is null. Out, if save: the activated
                                        // gates for the backward pass (LSTM, GRU). Null only for x given and !save.
    const T* w_hh = nullptr;            // (G*H, H)
    const T* b_hh = nullptr;            // (G*H,) may be null; for GRU the n part stays inside r*(...)
    const T* h0 = nullptr;              // (batch, H) may be null: zeros
    const T* c0 = nullptr;              // (batch, H) LSTM only; may be null: zeros
    const T* h_mask = nullptr;          // (batch, H) may be null: ones. Variational dropout, already scaled by 1/(1-p)

    T* out = nullptr;                   // (total, H), row stride out_stride: h_t of every token
    int64_t out_stride = 0;
    T* h_n = nullptr;                   // (batch, H): last h in scan order; h0 where the length is 0
    T* c_n = nullptr;                   // (batch, H): LSTM only, else null
    T* cells = nullptr;                 // (total, H), written if save: LSTM c_t, GRU W_n (m*h) + b_n. Null for RNN
    bool save = false;                  // true in training: fill xw (gates) and cells
};

// The same direction backward: gradients of a loss L with respect to what the forward pass read.
template <class T>
struct Backward {
    Kind kind = Kind::rnn_tanh;
    bool reverse = false;
    int64_t batch = 0;
    int64_t total = 0;
    int64_t hidden = 0;
    int64_t input = 0;                  // width of x; 0 if gradients for the projection are not wanted
    const int64_t* lengths = nullptr;   // (batch,)

    const T* w_hh = nullptr;            // (G*H, H)
    const T* h0 = nullptr;              // (batch, H) may be null: zeros
    const T* c0 = nullptr;              // (batch, H) may be null: zeros
    const T* h_mask = nullptr;          // (batch, H) may be null: ones
    const T* gates = nullptr;           // (total, G*H) as saved by Forward::xw; unused for RNN
    const T* cells = nullptr;           // (total, H) as saved by Forward::cells; unused for RNN
    const T* out = nullptr;             // (total, H), row stride out_stride, of the forward pass
    int64_t out_stride = 0;

    const T* d_out = nullptr;           // (total, H), row stride d_out_stride; may be null: zeros
    int64_t d_out_stride = 0;
    const T* d_h_n = nullptr;           // (batch, H) may be null: zeros
    const T* d_c_n = nullptr;           // (batch, H) may be null: zeros

    T* d_xw = nullptr;                  // (total, G*H): dL/dxw
    T* d_hn = nullptr;                  // (total, H): GRU only, dL/d(W_n (m*h) + b_n); null otherwise
    T* d_h0 = nullptr;                  // (batch, H)
    T* d_c0 = nullptr;                  // (batch, H) LSTM only, else null
    T* d_w_hh = nullptr;                // (G*H, H)
    T* d_b_hh = nullptr;                // (G*H,)

    // With input > 0 also the gradients of the input projection.
    const T* x = nullptr;               // (total, input), row stride x_stride
    int64_t x_stride = 0;
    const T* w_ih = nullptr;            // (G*H, input)
    T* d_w_ih = nullptr;                // (G*H, input)
    T* d_b_ih = nullptr;                // (G*H,)
    T* d_x = nullptr;                   // (total, input) contiguous; may be null. Given several directions, the same
                                        // pointer in each: it receives the sum.
};

// Packs w_hh, b_hh, w_ih and b_ih of one or two directions; nothing else of them is read.
template <class T>
std::shared_ptr<const PackedLayer<T>> pack_layer(const Forward<T>* directions, int count, Isa isa);

// Run one or two directions of a layer side by side on up to `threads` threads. All directions share batch, total,
// hidden and lengths. `packed`, if not null, stands for the weights (which may then be null) and for `isa`, and must
// come from the same kind, hidden and input. Throws std::bad_alloc only.
template <class T>
void forward(const Forward<T>* directions, int count, int threads, Isa isa, const PackedLayer<T>* packed = nullptr);

template <class T>
void backward(const Backward<T>* directions, int count, int threads, Isa isa);

// out (rows, n) = x (rows, k) w^T + bias. w (n, k); bias (n,) may be null.
template <class T>
void linear(const T* x, const T* w, const T* bias, T* out, int64_t rows, int64_t k, int64_t n, int threads, Isa isa);

// d_w (n, k) = d^T x, d_bias (n,) = column sums of d (may be null). d (rows, n), x (rows, k).
template <class T>
void linear_weight_gradient(const T* d, const T* x, T* d_w, T* d_bias, int64_t rows, int64_t k, int64_t n, int threads,
                            Isa isa);

// out (count, dim) = table[ids]. table (entries, dim); the caller has checked 0 <= ids < entries.
template <class T>
void gather(const T* table, const int32_t* ids, T* out, int64_t count, int64_t dim, int threads);

// Sums of table rows: out (tokens, dim), out[k] = sum of table[rows[j]] over the lengths[k] rows of token k; no rows give
// zeros. table (entries, dim) of T, or of IEEE half precision if `half` (float only); the caller has checked the range
// of rows, whose number is the sum of lengths.
template <class T>
void embedding_bag(const void* table, bool half, const int32_t* rows, const int64_t* lengths, T* out, int64_t tokens,
                   int64_t dim, int threads, Isa isa);

// Floating-point operations a second that `threads` threads reach on registers alone, measured for some milliseconds: what
// the speed of the products is a share of.
template <class T>
double peak(int threads, Isa isa);

// Best instruction set of this processor that was compiled in; and whether a given one can run here.
Isa best_isa();
bool isa_supported(Isa isa);

// Let an OpenMP runtime that the process already holds (torch brings one) run the parallel parts, so that its waiting
// threads and ours do not fight for the cores. Returns whether one was found. Without it an own pool is used.
bool adopt_openmp();

}  // namespace unrolled
