#include "engine/runtime/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "engine/kernels/page_buffer.h"
#include "engine/kernels/peak_loops.h"

namespace stepdown::runtime {
namespace {

constexpr int kRepeats = 5;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double read_bandwidth(kernels::ThreadPool& pool) {
  constexpr std::int64_t kBytes = std::int64_t{1} << 30;
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  kernels::PageBuffer buffer(kBytes, kernels::PageBuffer::Pages::kHuge);
  std::memset(buffer.data(), 1, kBytes);
  const auto read = kernels::peak_loops().read;
  double best = 0.0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto start = Clock::now();
    pool.each(kBytes / kPiece,
              [&](std::int64_t piece, int /*worker*/) { read(buffer.data() + piece * kPiece, kPiece); });
    best = std::max(best, static_cast<double>(kBytes) / seconds_since(start) / 1e9);
  }
  return best;
}

using Loop = std::int64_t (*)(std::int64_t rounds);

double peak(kernels::ThreadPool& pool, Loop loop) {
  if (loop == nullptr) return 0.0;
  constexpr std::int64_t kRounds = 200'000;
  double best = 0.0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    std::atomic<std::int64_t> operations{0};
    const auto start = Clock::now();
    pool.each(pool.threads(), [&](std::int64_t /*index*/, int /*worker*/) { operations += loop(kRounds); });
    best = std::max(best, static_cast<double>(operations) / seconds_since(start) / 1e9);
  }
  return best;
}

}  // namespace

MachineLimits measure_limits(kernels::ThreadPool& pool) {
  const kernels::PeakLoops& loops = kernels::peak_loops();
  return {read_bandwidth(pool), peak(pool, loops.int8), peak(pool, loops.float32), peak(pool, loops.bf16)};
}

}  // namespace stepdown::runtime
