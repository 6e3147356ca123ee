#include "engine/kernels/thread_pool.h"

#include <chrono>
#include <vector>

#include <gtest/gtest.h>

namespace stepdown::kernels {
namespace {

TEST(ThreadPool, CallsEachIndexOnceWhateverTheThreads) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int round = 0; round < 500; ++round) {
      std::vector<int> calls(static_cast<std::size_t>(round % 40), 0);
      pool.each(static_cast<std::int64_t>(calls.size()), [&](std::int64_t index, int worker) {
        ASSERT_LT(worker, threads);
        ++calls[static_cast<std::size_t>(index)];
      });
      EXPECT_EQ(calls, std::vector<int>(calls.size(), 1));
    }
  }
}

TEST(ThreadPool, WakesAfterSleeping) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> calls{0};
    pool.each(100, [&](std::int64_t, int) { ++calls; });
    EXPECT_EQ(calls, 100);
  }
}

TEST(ThreadPool, SomeProcessorIsUsable) {
  EXPECT_GE(usable_processors(), 1);
}

}  // namespace
}  // namespace stepdown::kernels
