#include "parallel.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "relax.h"
#include "unrolled/engine.h"

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace unrolled {
namespace {

struct Job {
    TaskFunction function;
    void* context;
    int tasks;
    std::atomic<int> next{0};

    void work() {
        for (int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) function(context, i);
    }
};

class Pool {
public:
    // False if another caller holds the pool.
    bool run(Job& job, int helpers) {
        std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
        if (!busy.owns_lock()) return false;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            for (; workers_ < helpers; ++workers_) std::thread([this] { serve(); }).detach();
            job_ = &job;
            tickets_.store(helpers, std::memory_order_release);
        }
        wake_.notify_all();
        job.work();
        std::unique_lock<std::mutex> lock(mutex_);
        tickets_.store(0, std::memory_order_relaxed);
        done_.wait(lock, [this] { return working_ == 0; });
        return true;
    }

private:
    void serve() {
        for (;;) {
            // A scan is often followed by another within microseconds, less than it takes to wake a sleeping thread.
            for (int i = 0; i < 6000 && tickets_.load(std::memory_order_relaxed) == 0; ++i) relax();
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, [this] { return tickets_.load(std::memory_order_relaxed) > 0; });
            tickets_.fetch_sub(1, std::memory_order_relaxed);
            ++working_;
            Job* job = job_;
            lock.unlock();
            job->work();
            lock.lock();
            if (--working_ == 0) done_.notify_one();
        }
    }

    std::mutex busy_, mutex_;
    std::condition_variable wake_, done_;
    std::atomic<int> tickets_{0};
    int workers_ = 0;
    int working_ = 0;
    Job* job_ = nullptr;
};

std::atomic<Pool*> pool{nullptr};
using GompParallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
std::atomic<GompParallel> gomp_parallel{nullptr};

#if defined(__unix__) || defined(__APPLE__)
// Threads do not survive fork(): the child starts with a fresh pool, and never with the parent's OpenMP team. The old
// pool is left behind, since nobody can tell in which state its locks are.
void forget_threads() {
    pool.store(nullptr);
    gomp_parallel.store(nullptr);
}
#endif

Pool& the_pool() {
    static std::mutex creation;
    Pool* current = pool.load(std::memory_order_acquire);
    if (current) return *current;
    std::lock_guard<std::mutex> lock(creation);
    current = pool.load(std::memory_order_acquire);
    if (!current) {
#if defined(__unix__) || defined(__APPLE__)
        static const int registered = pthread_atfork(nullptr, nullptr, &forget_threads);
        (void)registered;
#endif
        current = new Pool;  // lives as long as the process: its threads may be waiting when it exits
        pool.store(current, std::memory_order_release);
    }
    return *current;
}

}  // namespace

bool adopt_openmp() {
#if defined(__linux__)
    if (gomp_parallel.load()) return true;
    void* library = dlopen("libgomp.so.1", RTLD_NOLOAD | RTLD_LAZY);
    if (!library) return false;
    the_pool();  // registers the fork handler
    gomp_parallel.store(reinterpret_cast<GompParallel>(dlsym(library, "GOMP_parallel")));
    return gomp_parallel.load() != nullptr;
#else
    return false;
#endif
}

void parallel_run(int tasks, int threads, TaskFunction function, void* context) {
    Job job;
    job.function = function;
    job.context = context;
    job.tasks = tasks;
    if (threads > tasks) threads = tasks;
    if (threads > 1) {
        if (GompParallel run = gomp_parallel.load()) {
            run([](void* data) { static_cast<Job*>(data)->work(); }, &job, static_cast<unsigned>(threads), 0);
            return;
        }
        if (the_pool().run(job, threads - 1)) return;
    }
    job.work();
}

}  // namespace unrolled
