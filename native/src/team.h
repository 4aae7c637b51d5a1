// Threads that compute one scan together, step by step.
#pragma once

#include <atomic>
#include <cstdint>

namespace unrolled {

// The thread that comes first leads, and begins at once: waking another takes as long as many steps. Who comes later joins
// at the beginning of a step. All methods are functions of their own, so that the kernels, which are compiled for one
// instruction set each, hold no copy of them.
class Team {
public:
    explicit Team(int places) : places_(places) {}

    // Number of the calling thread, 0 for the leader, or -1 if all is done.
    int arrive();
    // Not for the leader: waits to be let in. Returns the first step that the thread takes part in, or -1 if all is done.
    int64_t admission(int number);
    // How many threads share step t. To be asked at its beginning, by those who share it.
    int members(int64_t t) const { return members_[t & 1].load(std::memory_order_relaxed); }
    // Returns when all `members` threads have called it.
    void wait(int members);
    // Ends step t, which `members` threads share: waits for all of them. The leader lets newcomers in for the next step. The
    // scan begins with the leader's finish(-1, 0, 1).
    void finish(int64_t t, int number, int members);
    // The leader, after the last step.
    void close();

private:
    static constexpr int kClosed = 1 << 16;

    const int places_;
    std::atomic<int> arrived_{0};
    std::atomic<int> admitted_{1};
    std::atomic<bool> closed_{false};
    std::atomic<int64_t> first_step_{0};     // of those admitted last
    std::atomic<int> members_[2] = {{1}, {1}};  // of even and odd steps: a slow thread may still ask for the last one
    alignas(64) std::atomic<int> waiting_{0};
    alignas(64) std::atomic<int> phase_{0};
};

}  // namespace unrolled
