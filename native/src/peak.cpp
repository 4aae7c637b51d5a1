#include <chrono>
#include <vector>

#include "dispatch.h"
#include "parallel.h"

namespace unrolled {

template <class T>
double peak(int threads, Isa isa) {
    const Kernels<T>& kernels = kernels_for<T>(isa);
    constexpr int64_t kRounds = 200000;
    std::vector<double> done(static_cast<size_t>(threads));
    const auto began = std::chrono::steady_clock::now();
    parallel_for(threads, threads, [&](int i) { done[static_cast<size_t>(i)] = kernels.burn(kRounds); });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    double operations = 0;
    for (double d : done) operations += d;
    return operations / seconds;
}

template double peak<float>(int, Isa);
template double peak<double>(int, Isa);

}  // namespace unrolled
