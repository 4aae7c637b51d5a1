// Large blocks of memory that are kept for reuse. On a fresh block the system's page faults cost as much as the
// recurrent layer itself, and a training step needs the same sizes again and again.
#pragma once

#include <cstddef>

namespace unrolled {

// At least `bytes` of uninitialised memory, aligned to a cache line. Throws std::bad_alloc. Any thread may call.
void* take_memory(std::size_t bytes);

// Returns a block of take_memory; null is allowed. Up to 96 MiB of free blocks are kept, the oldest go first.
void give_memory(void* block) noexcept;

}  // namespace unrolled
