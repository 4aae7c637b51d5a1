#include "unrolled/memory.h"

#include <cstdint>
#include <cstdlib>
#include <list>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace unrolled {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kSmall = std::size_t(32) << 10;  // the C library is good at these
constexpr std::size_t kHugePage = std::size_t(2) << 20;
constexpr std::size_t kKept = std::size_t(96) << 20;

// Stands in the cache line before each block.
struct Header {
    void* base;
    std::size_t size;
};

Header* header_of(void* block) { return reinterpret_cast<Header*>(static_cast<char*>(block) - kLine); }

// Sizes are rounded up to 4, 5, 6 or 7 times a power of two, so that batches of nearly one size share blocks.
std::size_t rounded(std::size_t bytes) {
    if (bytes < kSmall) return bytes;
    std::size_t step = kSmall / 4;
    while (step * 8 < bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

void* fresh(std::size_t size) {
    const std::size_t alignment = size >= 2 * kHugePage ? kHugePage : kLine;
    void* base = std::malloc(size + alignment + kLine);
    if (!base) throw std::bad_alloc();
    const auto first = reinterpret_cast<std::uintptr_t>(base) + kLine;
    const std::uintptr_t block = (first + alignment - 1) / alignment * alignment;
#if defined(__linux__)
    if (alignment == kHugePage) madvise(reinterpret_cast<void*>(block), size / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
    void* result = reinterpret_cast<void*>(block);
    *header_of(result) = {base, size};
    return result;
}

class Store {
public:
    // The smallest block that is large enough, of equal ones the latest, but none of more than twice the size: the batches
    // of a training come in all lengths, and each would otherwise find the blocks of another.
    void* find(std::size_t size) {
        std::lock_guard<std::mutex> lock(mutex_);
        auto best = blocks_.end();
        for (auto it = blocks_.begin(); it != blocks_.end(); ++it) {
            const std::size_t found = header_of(*it)->size;
            if (found < size || found > 2 * size) continue;
            if (best == blocks_.end() || found <= header_of(*best)->size) best = it;
        }
        if (best == blocks_.end()) return nullptr;
        void* block = *best;
        blocks_.erase(best);
        kept_ -= header_of(block)->size;
        return block;
    }

    void keep(void* block) {
        std::lock_guard<std::mutex> lock(mutex_);
        blocks_.push_back(block);
        kept_ += header_of(block)->size;
        while (kept_ > kKept) {
            void* oldest = blocks_.front();
            blocks_.pop_front();
            kept_ -= header_of(oldest)->size;
            std::free(header_of(oldest)->base);
        }
    }

private:
    std::mutex mutex_;
    std::list<void*> blocks_;
    std::size_t kept_ = 0;
};

Store& store() {
    static Store* const instance = new Store;  // outlives every array, also those that die at exit
    return *instance;
}

}  // namespace

void* take_memory(std::size_t bytes) {
    const std::size_t size = rounded(bytes);
    if (size >= kSmall)
        if (void* block = store().find(size)) return block;
    return fresh(size);
}

void give_memory(void* block) noexcept {
    if (!block) return;
    if (header_of(block)->size < kSmall) {
        std::free(header_of(block)->base);
        return;
    }
    try {
        store().keep(block);
    } catch (const std::bad_alloc&) {
        std::free(header_of(block)->base);
    }
}

}  // namespace unrolled
