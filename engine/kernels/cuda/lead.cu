#include "engine/kernels/cuda/operations.h"
#include "engine/kernels/cuda/reduce.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kGroups = kThreads / 4;

/// A logit and its token as one number: the greater the logit, and of equal ones the lower the token, the
/// greater; 0 is no token.
using Key = std::uint64_t;

__device__ Key key_of(float logit, int token) {
  if (logit == 0.0f) logit = 0.0f;  // −0 is no less than 0
  const Word bits = float_bits(logit);
  const Word ordered = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return Key{ordered} << 32 | ~static_cast<Word>(token);
}

/// How many of the keys are greater.
__device__ int rank_of(Key key, const Key* keys, int count) {
  int greater = 0;
  for (int i = 0; i < count; ++i) greater += keys[i] > key ? 1 : 0;
  return greater;
}

// A block a row, which it reads twice. Of the greatest keys that groups of threads see kMost are at least as
// great as the kMost-th of them, so that no key below that one is among the kMost greatest of all; those that
// are not below it are few, as what lies side by side in the row belongs to different groups.
__global__ void __launch_bounds__(kThreads) lead_rows(LeadingRows of) {
  __shared__ Key keys[kThreads];
  __shared__ Key least[1];
  __shared__ int found[1];
  const int row = static_cast<int>(blockIdx.x);
  const int thread = static_cast<int>(threadIdx.x);
  const float* const logits = of.logits + std::int64_t{row} * of.columns;
  Key greatest = 0;
  float largest = -INFINITY;
  for (int i = thread; i < of.columns; i += kThreads) {
    largest = fmaxf(largest, logits[i]);
    greatest = max(greatest, key_of(logits[i], i));
  }
  const float maximum = over_block<Largest>(largest);
  greatest = max(greatest, exchange(greatest, 1));
  greatest = max(greatest, exchange(greatest, 2));
  if (thread % 4 == 0) keys[thread / 4] = greatest;
  if (thread == 0) {
    found[0] = 0;
    least[0] = 0;
  }
  wait_for_block();
  if (thread < kGroups && rank_of(keys[thread], keys, kGroups) == LeadingRow::kMost - 1)
    least[0] = keys[thread];
  wait_for_block();
  const float temperature = of.temperatures[row];
  float mass = 0.0f;
  for (int i = thread; i < of.columns; i += kThreads) {
    const float x = logits[i];
    if (temperature > 0.0f) mass += expf((x - maximum) / temperature);
    const Key key = key_of(x, i);
    if (key < least[0]) continue;
    const int at = count_up(found);
    if (at < kThreads) keys[at] = key;
  }
  mass = over_block<Sum>(mass);  // and all keys are there
  const int held = min(found[0], kThreads);
  LeadingRow& out = of.out[row];
  if (thread < held) {
    const int rank = rank_of(keys[thread], keys, held);
    const int token = static_cast<int>(~static_cast<Word>(keys[thread]));
    if (rank < LeadingRow::kMost) {
      out.tokens[rank] = token;
      out.logits[rank] = logits[token];
    }
  }
  if (thread >= held && thread < LeadingRow::kMost) {
    out.tokens[thread] = -1;
    out.logits[thread] = -INFINITY;
  }
  if (thread != 0) return;
  out.mass = mass;
  out.count = found[0] > kThreads ? 0 : min(held, LeadingRow::kMost);
}

}  // namespace

Failure lead(Stream stream, const LeadingRows& arguments) {
  return launch(lead_rows, dim3{static_cast<unsigned>(arguments.rows), 1, 1}, kThreads, 0, stream, arguments);
}

}  // namespace stepdown::kernels::cuda
