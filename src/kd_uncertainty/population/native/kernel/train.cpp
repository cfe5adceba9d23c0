// Trains many small networks at once: every student is one task for one thread, and all that it needs stays in that
// core's caches. Read task.h for what goes in, then network.inl for what is done.
//
// The .inl files are compiled once for each instruction set, each time in another namespace; kd_train picks the best
// that the machine has. A student's arithmetic is the same whichever thread does it, and whoever is trained beside it.

#include "task.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <thread>
#include <utility>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Zeroed floats from a multiple of 64 bytes on.
struct Buffer {
    float *data = nullptr;
    Buffer() = default;
    explicit Buffer(int64_t count) {
        const size_t bytes = (size_t(count) * sizeof(float) + 63) / 64 * 64;
        if (!bytes) return;
        data = static_cast<float *>(std::aligned_alloc(64, bytes));
        if (!data) throw std::bad_alloc();
        std::memset(data, 0, bytes);
    }
    Buffer(Buffer &&other) noexcept : data(std::exchange(other.data, nullptr)) {}
    Buffer &operator=(Buffer &&other) noexcept {
        std::swap(data, other.data);
        return *this;
    }
    ~Buffer() { std::free(data); }
};

namespace baseline {
#define LANES 4
#include "kernel.inl"
#undef LANES
}

#if defined(__x86_64__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#define LANES 8
#include "kernel.inl"
#undef LANES
}
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
#endif
namespace avx512 {
#define LANES 16
#include "kernel.inl"
#undef LANES
}
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

namespace {

// Numbers below the smallest normal one count as 0: they would slow a processor down by a hundred times.
struct FlushToZero {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    FlushToZero() { _mm_setcsr(before | 0x8040); }
    ~FlushToZero() { _mm_setcsr(before); }
#endif
};

// Runs `work` in `threads` threads; each takes the next item until none is left. Returns 1 if memory ran out.
template <class Work> int in_threads(int64_t threads, int64_t items, Work work) {
    std::atomic<int64_t> next{0};
    std::atomic<int> failed{0};
    const auto run = [&] {
        const FlushToZero flush;
        try {
            work(next);
        } catch (const std::exception &) {
            failed = 1;
        }
    };
    std::vector<std::thread> others;
    try {
        for (int64_t t = 1; t < std::min(threads, items); t++) others.emplace_back(run);
    } catch (const std::exception &) { // fewer threads do the same work
    }
    run();
    for (auto &thread : others) thread.join();
    return failed;
}

template <class Workspace> int train_all(const kd_task &task) {
    return in_threads(task.threads, task.students, [&](std::atomic<int64_t> &next) {
        Workspace workspace(task);
        for (int64_t student; (student = next++) < task.students;) workspace.train(student);
    });
}

using Words = void(uint64_t, uint64_t, uint32_t, int64_t, uint32_t *);
int words_of_all(Words *words, const uint64_t *seeds, const uint64_t *streams, int64_t num_seeds, uint32_t purpose,
                 int64_t count, uint32_t *out, int64_t threads) {
    return in_threads(threads, num_seeds, [&](std::atomic<int64_t> &next) {
        for (int64_t row; (row = next++) < num_seeds;)
            words(seeds[row], streams[row], purpose, count, out + row * count);
    });
}

using Normals = void(uint64_t, uint64_t, int64_t, double *);
int normals_of_all(Normals *normals, const uint64_t *seeds, int64_t num_seeds, uint64_t stream, int64_t count,
                   double *out, int64_t threads) {
    return in_threads(threads, num_seeds, [&](std::atomic<int64_t> &next) {
        for (int64_t row; (row = next++) < num_seeds;) normals(seeds[row], stream, count, out + row * count);
    });
}

template <class Shuffler> int orders_of_all(const uint64_t *seeds, int64_t num_seeds, uint64_t epoch,
                                            int64_t examples, int64_t *out, int64_t threads) {
    return in_threads(threads, num_seeds, [&](std::atomic<int64_t> &next) {
        Shuffler shuffler(examples);
        for (int64_t row; (row = next++) < num_seeds;) shuffler.order(seeds[row], epoch, out + row * examples);
    });
}

} // namespace

extern "C" {

int64_t kd_best_isa(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return KD_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return KD_ISA_AVX2;
#endif
    return KD_ISA_BASELINE;
}

int kd_train(const kd_task *task) {
    const int64_t isa = task->isa ? task->isa : kd_best_isa();
    if (isa > kd_best_isa()) return 2;
#if defined(__x86_64__)
    if (isa == KD_ISA_AVX512) return train_all<avx512::Workspace>(*task);
    if (isa == KD_ISA_AVX2) return train_all<avx2::Workspace>(*task);
#endif
    return train_all<baseline::Workspace>(*task);
}

int kd_words(const uint64_t *seeds, const uint64_t *streams, int64_t num_seeds, uint32_t purpose, int64_t count,
             uint32_t *out, int64_t threads) {
    Words *words = baseline::philox_words;
#if defined(__x86_64__)
    if (kd_best_isa() == KD_ISA_AVX512) words = avx512::philox_words;
    if (kd_best_isa() == KD_ISA_AVX2) words = avx2::philox_words;
#endif
    return words_of_all(words, seeds, streams, num_seeds, purpose, count, out, threads);
}

int kd_normals(const uint64_t *seeds, int64_t num_seeds, uint64_t stream, int64_t count, double *out,
               int64_t threads) {
    Normals *normals = baseline::normals;
#if defined(__x86_64__)
    if (kd_best_isa() == KD_ISA_AVX512) normals = avx512::normals;
    if (kd_best_isa() == KD_ISA_AVX2) normals = avx2::normals;
#endif
    return normals_of_all(normals, seeds, num_seeds, stream, count, out, threads);
}

int kd_orders(const uint64_t *seeds, int64_t num_seeds, uint64_t epoch, int64_t examples, int64_t *out,
              int64_t threads) {
#if defined(__x86_64__)
    if (kd_best_isa() == KD_ISA_AVX512)
        return orders_of_all<avx512::Shuffler>(seeds, num_seeds, epoch, examples, out, threads);
    if (kd_best_isa() == KD_ISA_AVX2)
        return orders_of_all<avx2::Shuffler>(seeds, num_seeds, epoch, examples, out, threads);
#endif
    return orders_of_all<baseline::Shuffler>(seeds, num_seeds, epoch, examples, out, threads);
}
}
