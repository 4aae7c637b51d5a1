// What an instruction set must provide: the serial kernels that one thread runs. Threads, memory and the order of
// sequences are the planner's business (engine.cpp); kernels see row pointers, packed weights and scratch memory.
//
// Packed weights. A "panel" holds the weights of up to 4 vectors (W lanes each) of output columns for all k:
// panel[k][vector][lane]. In a gate panel the vectors are the gates of the same W units, so that the cell's update works
// on registers; in a plain panel they are neighbouring columns. Lanes beyond the last column are zero.
#pragma once

#include <cstdint>

#include "step_kernels.h"
#include "team.h"
#include "unrolled/engine.h"

namespace unrolled {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Distance of the rows of a scratch array that hold `count` elements each, in elements: whole cache lines, and an odd
// number of them. Rows a power of two apart would share a few sets of the cache and push each other out.
template <class T>
constexpr int64_t row_distance(int64_t count) {
    constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
    return (ceil_div(count, line) | 1) * line;
}

// One thread's share of one direction, forward. `rows` sequences sorted by falling length, none empty.
template <class T>
struct ScanForward {
    Kind kind;
    int64_t hidden, rows;
    const int64_t* length;      // (rows,)
    const int64_t* sequence;    // (rows,) index in the batch
    const int64_t* first;       // (rows,) token of step 0
    int64_t token_step;         // +1, or -1 for the reverse direction

    Precision precision;        // of the packed weights: T, or reduced as in reduced.inc.h
    const void* packed_w_hh;    // gate panels (plain panels for RNN)
    const T* packed_b_hh;       // bias in the same order, zeros if none
    const T* scales_hh;         // int8: scale of each column in the same order
    const T* h0;                // (batch, H) or null
    const T* c0;
    const T* h_mask;
    T* xw;                      // (.., G*H), rows xw_distance apart; the pre-activations, then (save) the gates
    int64_t xw_distance;
    T* out;
    int64_t out_stride;
    T* h_n;
    T* c_n;
    T* cells;
    bool save;

    // Projection inside the scan; input == 0 when xw holds it already.
    int64_t input;
    const T* x;
    int64_t x_stride;
    const int32_t* lookup;
    const void* packed_w_ih;    // plain panels over G*H columns
    const T* scales_ih;
    const T* packed_b_ih;       // padded to full panels, or null
    int64_t chunk;              // time steps projected at once
    bool compact;               // xw is a private buffer of rows*chunk rows instead of one row a token

    T* state;                   // scratch, forward_state() elements; shared by a team
    const T** row_pointers;     // scratch, rows * chunk pointers
    void* operands;             // scratch, rows * chunk times kOperandBytes
    int16_t* quantised;         // scratch, int8: rows * chunk * (input + 1) or rows * (H + 1) elements, the larger

    // A team of threads may share the scan of few sequences: each computes its part of the units.
    Team* team;                 // null for a thread alone
    int member;                 // this thread's number in the team
};

constexpr int64_t kOperandBytes = 16;  // a row as the widest of the policies in reduced.inc.h holds it

template <class T>
struct ScanBackward {
    Kind kind;
    int64_t hidden, rows;
    const int64_t* length;
    const int64_t* sequence;
    const int64_t* first;
    int64_t token_step;

    const T* packed_w_hh;       // plain panels: k runs over G*H, columns over H
    const T* h0;
    const T* c0;
    const T* h_mask;
    const T* gates;
    const T* cells;
    const T* out;
    int64_t out_stride;
    const T* d_out;
    int64_t d_out_stride;
    const T* d_h_n;
    const T* d_c_n;
    T* d_xw;
    T* d_hn;
    T* d_h0;
    T* d_c0;

    T* state;                   // scratch, backward_state() elements
    const T** row_pointers;     // scratch, 3 * rows
};

// c[r][0..n) = bias + a1[r] P1 + a2[r] P2, rows given by pointers; panels hold k1 + k2 rows.
template <class T>
struct Product {
    int64_t rows, n, k1, k2;
    const T* const* a1;
    const T* const* a2;         // may be null when k2 is 0
    const T* panels;
    const T* bias;              // padded to full vectors, or null
    T* const* c;
};

// c (m1-m0, n) = sum over tokens of a[token][m0..m1) (outer) b[token][0..n); sums[m0..m1) = column sums of a, or null.
template <class T>
struct Outer {
    int64_t tokens, m0, m1, n;
    const T* const* a;
    const T* const* b;
    T* c;                       // (.., n) row m0 first
    T* sums;                    // first element belongs to column m0
    T* scratch;                 // outer_scratch(m1 - m0, n) elements
};

// out[k] = sum of the table rows of tokens begin..end; the rows of token k are rows[offsets[k]..offsets[k+1]).
template <class T>
struct Bag {
    const void* table;
    bool half;
    int64_t dim;
    const int32_t* rows;
    const int64_t* offsets;
    int64_t begin, end;
    T* out;                     // (tokens, dim)
    const T* weights = nullptr; // of each row, or null
};

template <class T>
struct Kernels {
    Isa isa;
    int width;
    // Packed sizes in elements, and the packers. w (columns, k) row stride ldw, or transposed: w (k, columns).
    void (*pack_gates)(T* packed, const T* w_hh, int64_t hidden, int gates);
    void (*pack_plain)(T* packed, const T* w, int64_t ldw, int64_t columns, int64_t k, bool transposed,
                       const T* w2, int64_t ldw2, int64_t k2);
    void (*pack_gate_bias)(T* packed, const T* bias, int64_t hidden, int gates);
    // Packed weights again, with less precision: `columns` as packed, of `gates` vectors a panel (1: plain panels).
    void (*reduce_panels)(Precision precision, const T* panels, int64_t columns, int64_t k, int gates, void* reduced, T* scales);
    void (*scan_forward)(const ScanForward<T>&);
    void (*scan_backward)(const ScanBackward<T>&);
    void (*product)(const Product<T>&);
    void (*outer)(const Outer<T>&);
    int64_t (*outer_scratch)(int64_t m, int64_t n);
    void (*bag)(const Bag<T>&);
    StepKernels<T> step;
    double (*burn)(int64_t rounds);

    int64_t padded(int64_t columns) const { return ceil_div(columns, width) * width; }
    int64_t forward_state(int64_t rows, int64_t hidden) const {
        return rows * (4 * row_distance<T>(hidden) + static_cast<int64_t>(sizeof(int64_t) / sizeof(T)));
    }
    int64_t backward_state(int64_t rows, int64_t hidden) const { return rows * 3 * row_distance<T>(hidden); }
};

const Kernels<float>& kernels_generic_f32();
const Kernels<double>& kernels_generic_f64();
#if defined(UNROLLED_X86_KERNELS)
const Kernels<float>& kernels_avx2();
const Kernels<float>& kernels_avx512();
#endif

}  // namespace unrolled
