// What this machine can do at most: multiply-adds out of registers, and copies of memory.
//
// usage: limits THREADS SECONDS  ->  one line of JSON, rates per second over all threads.
//
// The instruction set is picked when the program runs, as the engine's kernel picks its own.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A multiply-add takes about four cycles and two can start in each, so eight independent chains fill the units; twelve
// leave some slack, and fit into sixteen registers together with both factors.
constexpr int kChains = 12;
constexpr int kRounds = 20000;

typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));

template <typename Vector>
__attribute__((always_inline)) inline float chains(float seed) {
  static_assert(kChains == 12, "one variable a chain: an array would be kept in memory");
  Vector a = Vector{} + seed, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5;
  Vector g = a + 6, h = a + 7, i = a + 8, j = a + 9, k = a + 10, l = a + 11;
  const Vector factor = Vector{} + (1.0f - seed * 1e-6f), term = Vector{} + seed;
  for (int round = 0; round < kRounds; ++round) {
    a = a * factor + term, b = b * factor + term, c = c * factor + term, d = d * factor + term;
    e = e * factor + term, f = f * factor + term, g = g * factor + term, h = h * factor + term;
    i = i * factor + term, j = j * factor + term, k = k * factor + term, l = l * factor + term;
  }
  const Vector total = a + b + c + d + e + f + g + h + i + j + k + l;
  return total[0];
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) float chains_avx512(float seed) { return chains<Float16>(seed); }
__attribute__((target("avx2,fma"))) float chains_avx2(float seed) { return chains<Float8>(seed); }
#endif
float chains_generic(float seed) { return chains<Float4>(seed); }

struct Kernel {
  const char* name;
  float (*run)(float);
  int lanes;
};

Kernel pick() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {"avx512", chains_avx512, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {"avx2", chains_avx2, 8};
#endif
  return {"generic", chains_generic, 4};
}

// Calls work() in each thread until the seconds are over; returns its calls per second, all threads together.
template <typename MakeWork>
double calls_per_second(int threads, double seconds, MakeWork make_work) {
  std::vector<double> rates(threads);
  std::vector<std::thread> pool;
  for (int thread = 0; thread < threads; ++thread) {
    pool.emplace_back([&, thread] {
      auto work = make_work();
      work();  // page faults and cold caches
      long calls = 0;
      const auto start = Clock::now();
      do {
        work();
        ++calls;
      } while (seconds_since(start) < seconds);
      rates[thread] = calls / seconds_since(start);
    });
  }
  double total = 0;
  for (int thread = 0; thread < threads; ++thread) {
    pool[thread].join();
    total += rates[thread];
  }
  return total;
}

double copied_bytes_per_second(int threads, double seconds, size_t bytes) {
  const double calls = calls_per_second(threads, seconds, [bytes] {
    return [from = std::vector<char>(bytes, 1), to = std::vector<char>(bytes, 2)]() mutable {
      std::memcpy(to.data(), from.data(), from.size());
      asm volatile("" : : "r"(to.data()) : "memory");
    };
  });
  return calls * static_cast<double>(bytes);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0.2;
  const Kernel kernel = pick();
  volatile float sink = 0;
  const double calls = calls_per_second(threads, seconds, [&] { return [&] { sink = kernel.run(0.5f); }; });
  const double flops = calls * kRounds * kChains * kernel.lanes * 2.0;
  const double large = copied_bytes_per_second(threads, seconds, size_t{128} << 20);
  const double small = copied_bytes_per_second(threads, seconds, size_t{192} << 10);
  std::printf("{\"instructions\": \"%s\", \"flops\": %.6g, \"copy_large\": %.6g, \"copy_l2\": %.6g}\n", kernel.name, flops,
              large, small);
}
