// A barrier for threads that meet every few microseconds.
#pragma once

#include <atomic>
#include <thread>

#include "relax.h"

namespace unrolled {

class SpinBarrier {
public:
    // Returns when `size` threads have called it; the last to come runs `last` before the others go on. Waits awake for
    // some microseconds, then lets others have the core.
    template <class F>
    void wait(int size, F&& last) {
        const unsigned phase = phase_.load(std::memory_order_acquire);
        if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
            last();
            waiting_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            return;
        }
        for (int i = 0; phase_.load(std::memory_order_acquire) == phase; ++i) {
            if (i < 4000) {
                relax();
            } else {
                std::this_thread::yield();
            }
        }
    }

private:
    std::atomic<int> waiting_{0};
    std::atomic<unsigned> phase_{0};
};

}  // namespace unrolled
