#include "engine/runtime/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "engine/kernels/operations.h"
#include "engine/kernels/packed_matrix.h"
#include "engine/kernels/page_buffer.h"

namespace stepdown::runtime {
namespace {

constexpr int kRepeats = 5;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double read_bandwidth(kernels::ThreadPool& pool) {
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  kernels::PageBuffer buffer(kBytes, kernels::PageBuffer::Pages::kHuge);
  std::memset(buffer.data(), 1, kBytes);
  double best = 0.0;
  std::atomic<std::uint64_t> kept{0};  // so that no read is in vain
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto start = Clock::now();
    pool.each(kBytes / kPiece, [&](std::int64_t piece, int /*worker*/) {
      const auto* words =
          reinterpret_cast<const std::uint64_t*>(buffer.data() + static_cast<std::size_t>(piece) * kPiece);
      std::uint64_t sums[8] = {};
      for (std::size_t i = 0; i < kPiece / 8; i += 8) {
        for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
      }
      for (const std::uint64_t sum : sums) kept += sum;
    });
    best = std::max(best, static_cast<double>(kBytes) / seconds_since(start) / 1e9);
  }
  return best;
}

double int8_rate(kernels::ThreadPool& pool) {
  constexpr std::int64_t kColumns = 512;
  constexpr std::int64_t kRows = 8;
  constexpr std::int64_t kCalls = 2000;
  const kernels::Operations& operations = kernels::operations();
  const std::size_t packing = *kernels::packing_index(DType::kQ8_0);
  const auto tile_bytes = static_cast<std::size_t>(kernels::kPackings[packing].tile_bytes(kColumns));
  const std::vector<std::byte> tile(tile_bytes);
  const std::vector<std::int8_t> codes(kColumns * kRows);
  const std::vector<kernels::BlockScale> scales(kColumns * kRows / kernels::kBlock);
  double best = 0.0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto start = Clock::now();
    pool.each(pool.threads(), [&](std::int64_t /*index*/, int /*worker*/) {
      std::vector<float> out(kRows * kernels::kTileRows);
      for (std::int64_t call = 0; call < kCalls; ++call) {
        operations.codes_tile[packing](tile.data(), {codes.data(), scales.data(), kColumns}, 0, kRows,
                                       out.data(), kernels::kTileRows, false);
      }
    });
    const double products = 2.0 * kColumns * kRows * kernels::kTileRows * kCalls * pool.threads();
    best = std::max(best, products / seconds_since(start) / 1e9);
  }
  return best;
}

}  // namespace

MachineLimits measure_limits(kernels::ThreadPool& pool) {
  return {read_bandwidth(pool), int8_rate(pool)};
}

}  // namespace stepdown::runtime
