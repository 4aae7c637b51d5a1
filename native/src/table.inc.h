// The table of one instruction set. Included last.

Kernels<T> make_kernels(Isa isa) {
    Kernels<T> table{};
    table.isa = isa;
    table.width = W;
    table.pack_gates = &pack_gates;
    table.pack_plain = &pack_plain;
    table.pack_gate_bias = &pack_gate_bias;
    table.reduce_panels = &reduce_panels;
    table.scan_forward = &scan_forward;
    table.scan_backward = &scan_backward;
    table.product = &product;
    table.outer = &outer;
    table.outer_scratch = &outer_scratch;
    table.bag = &bag;
    table.step = step_kernels();
    table.burn = &burn;
    return table;
}
