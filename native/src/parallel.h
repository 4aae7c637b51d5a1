// Running numbered tasks on several threads.
#pragma once

#include <type_traits>

namespace unrolled {

using TaskFunction = void (*)(void* context, int task);

// Calls function(context, i) once for every i in [0, tasks), on the calling thread and up to threads-1 others, and
// returns when all are done. Tasks must not throw. Safe from several threads at once: whoever finds the pool busy does
// its tasks alone.
void parallel_run(int tasks, int threads, TaskFunction function, void* context);

template <class F>
void parallel_for(int tasks, int threads, F&& f) {
    using Body = typename std::remove_reference<F>::type;
    parallel_run(tasks, threads, [](void* context, int task) { (*static_cast<Body*>(context))(task); },
                 const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace unrolled
