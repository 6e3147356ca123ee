#include "engine/kernels/thread_pool.h"

#include <chrono>
#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "engine/base/error.h"

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
      // Workers then sleep, and the next loop may be over before they are awake.
      if (round % 50 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
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

#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // they reserve more memory than the limit below
TEST(ThreadPool, SaysHowManyThreadsThereCouldBe) {
  const auto starve = [] {
    const rlimit little{1 << 30, 1 << 30};  // a thread's stack reserves 8 MiB
    ::setrlimit(RLIMIT_AS, &little);
    try {
      const ThreadPool pool(2000);
    } catch (const Error&) {
      std::_Exit(7);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(starve(), testing::ExitedWithCode(7), "");
}
#endif

TEST(ThreadPool, SomeProcessorIsUsable) {
  EXPECT_GE(usable_processors(), 1);
}

}  // namespace
}  // namespace stepdown::kernels
