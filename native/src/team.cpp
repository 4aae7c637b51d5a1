#include "team.h"

#include <chrono>
#include <thread>

#include "relax.h"

namespace unrolled {
namespace {

constexpr int kSpins = 4000;  // some 50 microseconds; a thread that was put to sleep takes longer than that anyway

}  // namespace

int Team::join() {
    const int number = joined_.fetch_add(1, std::memory_order_acq_rel);
    if (number >= kClosed) return -1;
    if (number > 0) {
        // The first thread counts who is there, and says so.
        while (members() == 0) relax();
        return number < members() ? number : -1;
    }
    const auto late = std::chrono::steady_clock::now() + std::chrono::microseconds(30);
    while (joined_.load(std::memory_order_acquire) < wanted_ && std::chrono::steady_clock::now() < late) relax();
    const int came = joined_.fetch_add(kClosed, std::memory_order_acq_rel);
    members_.store(came < wanted_ ? came : wanted_, std::memory_order_release);
    return 0;
}

void Team::wait(int members) {
    const int phase = phase_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
        waiting_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        return;
    }
    for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins) {
        if (spins < kSpins) {
            relax();
        } else {
            std::this_thread::yield();
        }
    }
}

void team_wait(Team* team, int members) { team->wait(members); }

}  // namespace unrolled
