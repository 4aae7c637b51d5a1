// Who computes what: the order of sequences, their split into groups, and scratch memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels.h"
#include "unrolled/memory.h"

namespace unrolled {

// Scratch memory of one call, from blocks that outlive it. Aligned to a cache line and not initialised.
class Arena {
public:
    Arena() = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena() {
        for (const Block& block : blocks_) give_memory(block.start);
    }

    template <class E>
    E* take(int64_t count) {
        const size_t bytes = (static_cast<size_t>(count) * sizeof(E) + 63) / 64 * 64;
        if (blocks_.empty() || used_ + bytes > blocks_.back().size) {
            const size_t size = std::max(bytes, kBlock);
            blocks_.reserve(blocks_.size() + 1);
            blocks_.push_back({static_cast<char*>(take_memory(size)), size});
            used_ = 0;
        }
        void* result = blocks_.back().start + used_;
        used_ += bytes;
        return static_cast<E*>(result);
    }

private:
    static constexpr size_t kBlock = size_t(1) << 20;
    struct Block {
        char* start;
        size_t size;
    };

    std::vector<Block> blocks_;
    size_t used_ = 0;
};

// Sequences that are not empty, sorted by falling length (equal lengths stay in batch order), dealt out to groups like
// cards so that each group has its share of long ones.
struct Group {
    int64_t rows;
    int64_t* length;
    int64_t* sequence;
    int64_t* first[2];  // token of step 0: forward, reverse
};

class Plan {
public:
    Plan(const int64_t* lengths, int64_t batch, int groups_wanted, Arena& arena) {
        int64_t* offset = arena.take<int64_t>(batch + 1);
        int64_t* order = arena.take<int64_t>(batch + 1);
        int64_t count = 0;
        offset[0] = 0;
        for (int64_t b = 0; b < batch; ++b) {
            offset[b + 1] = offset[b] + lengths[b];
            if (lengths[b] > 0) order[count++] = b;
        }
        offsets = offset;
        std::stable_sort(order, order + count, [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
        longest = count > 0 ? lengths[order[0]] : 0;
        const int64_t groups_count = std::max<int64_t>(1, std::min<int64_t>(groups_wanted, count));
        for (int64_t g = 0; g < groups_count; ++g) {
            Group group;
            group.rows = count > g ? ceil_div(count - g, groups_count) : 0;
            group.length = arena.take<int64_t>(group.rows);
            group.sequence = arena.take<int64_t>(group.rows);
            for (auto& first : group.first) first = arena.take<int64_t>(group.rows);
            for (int64_t i = 0; i < group.rows; ++i) {
                const int64_t b = order[g + i * groups_count];
                group.sequence[i] = b;
                group.length[i] = lengths[b];
                group.first[0][i] = offset[b];
                group.first[1][i] = offset[b + 1] - 1;
            }
            groups.push_back(group);
        }
    }

    const int64_t* offsets;  // (batch + 1,)
    int64_t longest;
    std::vector<Group> groups;
};

// Threads worth starting for so many multiply-adds: waking one costs microseconds, and milliseconds if the processor is
// busy with something else.
inline int useful_threads(int threads, double multiply_adds) {
    constexpr double kWorthAThread = 1.5e6;
    return std::max(1, std::min(threads, static_cast<int>(std::min(multiply_adds / kWorthAThread, 1e6))));
}

// Fetching an element of a row that lies anywhere in memory, in multiply-adds.
constexpr double kLookupCost = 8;

// Two directions run side by side: with an even number of threads each has half of them.
inline int groups_per_direction(int threads, int directions) {
    return threads % directions == 0 ? threads / directions : threads;
}

}  // namespace unrolled
