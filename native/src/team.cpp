#include "team.h"

#include <algorithm>
#include <thread>

#include "relax.h"

namespace unrolled {
namespace {

// Waits until done() holds: awake for some 50 microseconds, then giving way to others.
template <class F>
void wait_until(F&& done) {
    for (int spins = 0; !done(); ++spins) {
        if (spins < 4000) {
            relax();
        } else {
            std::this_thread::yield();
        }
    }
}

}  // namespace

int Team::arrive() {
    const int number = arrived_.fetch_add(1, std::memory_order_acq_rel);
    return number < places_ ? number : -1;
}

int64_t Team::admission(int number) {
    wait_until([&] { return admitted_.load(std::memory_order_acquire) > number || closed_.load(std::memory_order_acquire); });
    return admitted_.load(std::memory_order_acquire) > number ? first_step_.load(std::memory_order_relaxed) : -1;
}

void Team::wait(int members) {
    if (members == 1) return;
    const int phase = phase_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
        waiting_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
    } else {
        wait_until([&] { return phase_.load(std::memory_order_acquire) != phase; });
    }
}

void Team::finish(int64_t t, int number, int members) {
    const int next = number == 0 ? std::min(arrived_.load(std::memory_order_acquire), places_) : 0;
    if (number == 0) members_[(t + 1) & 1].store(next, std::memory_order_relaxed);
    wait(members);
    if (number == 0 && next > members) {
        first_step_.store(t + 1, std::memory_order_relaxed);
        admitted_.store(next, std::memory_order_release);
    }
}

void Team::close() {
    arrived_.fetch_add(kClosed, std::memory_order_acq_rel);
    closed_.store(true, std::memory_order_release);
}

}  // namespace unrolled
