#include "operator/kube/work_queue.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace stepdown::kube {
namespace {

using std::chrono::milliseconds;

const ObjectKey kA{"n", "a"};
const ObjectKey kB{"n", "b"};

class WorkQueueTest : public ::testing::Test {
 protected:
  static WorkQueue::Options options(WorkQueue::Clock::time_point& now) {
    WorkQueue::Options options;
    options.now = [&now] { return now; };
    return options;
  }

  WorkQueue::Clock::time_point now_{std::chrono::hours(1)};
  WorkQueue queue_{options(now_)};
};

TEST_F(WorkQueueTest, AKeyStandsInItOnce) {
  queue_.add(kA);
  queue_.add(kA);
  EXPECT_EQ(queue_.depth(), 1U);
  EXPECT_EQ(queue_.try_pop(), kA);
  EXPECT_EQ(queue_.try_pop(), std::nullopt);
}

TEST_F(WorkQueueTest, AKeyAddedWhileWorkedOnComesAgainAfterDone) {
  queue_.add(kA);
  ASSERT_EQ(queue_.try_pop(), kA);
  queue_.add(kA);
  EXPECT_EQ(queue_.try_pop(), std::nullopt) << "two workers would hold it";
  queue_.done(kA);
  EXPECT_EQ(queue_.try_pop(), kA);
  queue_.done(kA);
  EXPECT_EQ(queue_.try_pop(), std::nullopt);
}

TEST_F(WorkQueueTest, LowPriorityWaitsAndMovesUp) {
  queue_.add(kA, WorkQueue::Priority::kLow);
  queue_.add(kB);
  EXPECT_EQ(queue_.try_pop(), kB);
  queue_.add(ObjectKey{"n", "c"});
  queue_.add(kA);  // now it is asked for
  EXPECT_EQ(queue_.try_pop(), (ObjectKey{"n", "c"}));
  EXPECT_EQ(queue_.try_pop(), kA);
  EXPECT_EQ(queue_.try_pop(), std::nullopt);
}

TEST_F(WorkQueueTest, DelaysTakeTheEarliestTime) {
  queue_.add_after(kA, milliseconds(500));
  queue_.add_after(kA, milliseconds(100));
  queue_.add_after(kA, milliseconds(900));
  now_ += milliseconds(99);
  EXPECT_EQ(queue_.try_pop(), std::nullopt);
  now_ += milliseconds(1);
  EXPECT_EQ(queue_.try_pop(), kA);
  queue_.done(kA);
  now_ += milliseconds(5000);
  EXPECT_EQ(queue_.try_pop(), std::nullopt) << "the later delays are gone";
}

TEST_F(WorkQueueTest, RetriesBackOffExponentiallyUntilForgotten) {
  for (const int expected : {5, 10, 20, 40, 80}) {
    queue_.retry(kA);
    now_ += milliseconds(expected - 1);
    EXPECT_EQ(queue_.try_pop(), std::nullopt) << expected;
    now_ += milliseconds(1);
    ASSERT_EQ(queue_.try_pop(), kA) << expected;
    queue_.done(kA);
  }
  EXPECT_EQ(queue_.failures(kA), 5);
  queue_.forget(kA);
  EXPECT_EQ(queue_.failures(kA), 0);
  queue_.retry(kA);
  now_ += milliseconds(5);
  EXPECT_EQ(queue_.try_pop(), kA);
}

TEST_F(WorkQueueTest, BackoffIsBounded) {
  for (int i = 0; i < 200; ++i) {
    queue_.retry(kA);
    now_ += milliseconds(300'000);
    ASSERT_EQ(queue_.try_pop(), kA) << i;
    queue_.done(kA);
  }
}

TEST_F(WorkQueueTest, ABucketSlowsTheRetriesOfManyKeys) {
  for (int i = 0; i < 150; ++i) queue_.retry({"n", std::to_string(i)});
  now_ += milliseconds(10);
  int due = 0;
  while (queue_.try_pop()) ++due;
  EXPECT_EQ(due, 100) << "the burst";
  now_ += milliseconds(1000);
  while (queue_.try_pop()) ++due;
  EXPECT_EQ(due, 110) << "ten a second after it";
}

TEST(WorkQueue, PopWaitsForKeysDelaysAndStop) {
  WorkQueue queue;
  std::atomic<int> seen = 0;
  std::jthread worker([&](const std::stop_token& stop) {
    while (const auto key = queue.pop(stop)) {
      ++seen;
      queue.done(*key);
    }
  });
  queue.add(kA);
  queue.add_after(kB, milliseconds(20));
  for (int i = 0; i < 400 && seen < 2; ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(seen, 2);
  worker.request_stop();
  worker.join();
}

}  // namespace
}  // namespace stepdown::kube
