// Threads that share a scan: everybody does every step that it was let in for, once, and nobody is left waiting.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "team.h"

using unrolled::Team;

namespace {

constexpr int64_t kSteps = 200;

void check(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "failed: %s\n", what);
    std::exit(1);
}

// One scan of `places` threads; returns the largest number that shared a step.
int run(int places, int callers) {
    Team team(places);
    // Not atomic on purpose: the meetings at the end of the steps must order all accesses (thread sanitizer).
    std::vector<int64_t> done(static_cast<size_t>(places), 0);
    int64_t sum = 0;
    std::atomic<int> most{0};
    auto work = [&] {
        const int number = team.arrive();
        if (number < 0) return;
        int64_t t = 0;
        if (number == 0) {
            team.finish(-1, 0, 1);
        } else {
            t = team.admission(number);
            if (t < 0) return;
        }
        for (; t < kSteps; ++t) {
            const int members = team.members(t);
            check(members >= 1 && members <= places && number < members, "a member of every step it takes part in");
            if (members > most.load()) most = members;
            if (number == 0 && t == kSteps / 2) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // others come
            done[static_cast<size_t>(number)] = t + 1;
            team.wait(members);
            if (number == 0) {
                for (int m = 0; m < members; ++m) check(done[static_cast<size_t>(m)] == t + 1, "all did this step");
                ++sum;
            }
            team.finish(t, number, members);
        }
        if (number == 0) team.close();
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < callers; ++i) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
    check(sum == kSteps, "every step once");
    return most;
}

}  // namespace

int main() {
    int most = 0;
    for (int repeat = 0; repeat < 10; ++repeat) {
        check(run(1, 1) == 1, "alone");
        check(run(2, 1) == 1, "the other never comes");
        for (int places = 2; places <= 4; ++places) most = std::max(most, run(places, places));
        run(2, 4);  // more come than there are places
    }
    check(most > 1, "somebody shared a step");
    std::puts("team: ok");
}
