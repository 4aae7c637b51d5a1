// The processor's peak, to measure the products against. Included once per instruction set after product.inc.h.

// `rounds` rounds of fused multiply-adds on registers alone: the accumulators of the widest tile, which hide the latency.
// Returns the number of floating-point operations.
double burn(int64_t rounds) {
    constexpr int MR = tile_rows(kPanelVectors);
    V acc[MR][kPanelVectors];
    const V x = S::set(T(1) / 4), b = S::set(T(3));
    UNROLLED_UNROLL
    for (int r = 0; r < MR; ++r) {
        UNROLLED_UNROLL
        for (int j = 0; j < kPanelVectors; ++j) acc[r][j] = S::set(T(r * kPanelVectors + j));  // equal ones would be computed once
    }
    for (int64_t i = 0; i < rounds; ++i) {
        UNROLLED_UNROLL
        for (int r = 0; r < MR; ++r) {
            UNROLLED_UNROLL
            for (int j = 0; j < kPanelVectors; ++j) acc[r][j] = S::fma(acc[r][j], x, b);
        }
    }
    V sum = S::zero();
    UNROLLED_UNROLL
    for (int r = 0; r < MR; ++r) {
        UNROLLED_UNROLL
        for (int j = 0; j < kPanelVectors; ++j) sum = S::add(sum, acc[r][j]);
    }
    T seen[W];
    S::store(seen, sum);
    volatile T kept = seen[0];  // or the compiler would leave the loop out
    (void)kept;
    return 2.0 * W * MR * kPanelVectors * static_cast<double>(rounds);
}
