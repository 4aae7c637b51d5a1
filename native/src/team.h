// Threads that compute one scan together, step by step.
#pragma once

#include <atomic>
#include <cstdint>

namespace unrolled {

// How many threads are there is settled when the first of them begins: it waits some microseconds for the others, and goes
// on without those that have not come. A thread that comes too late has nothing to do.
class Team {
public:
    explicit Team(int wanted) : wanted_(wanted) {}

    // Number of the calling thread, 0 .. members() - 1, or -1 for one that came too late.
    int join();
    // Settled once join() has returned.
    int members() const { return members_.load(std::memory_order_acquire); }
    void wait(int members);

private:
    static constexpr int kClosed = 1 << 16;

    const int wanted_;
    std::atomic<int> joined_{0};
    std::atomic<int> members_{0};
    alignas(64) std::atomic<int> waiting_{0};
    alignas(64) std::atomic<int> phase_{0};
};

// Returns when all `members` threads of the team have called it. A function of its own, so that the kernels, which are
// compiled for one instruction set each, hold no copy of it.
void team_wait(Team* team, int members);

}  // namespace unrolled
