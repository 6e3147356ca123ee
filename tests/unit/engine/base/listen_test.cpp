#include "engine/base/listen.h"

#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

namespace stepdown {
namespace {

using namespace std::chrono_literals;

/// Forgets a stop() that comes before it listens, as cpp-httplib does; takes a while to come to it.
class SlowServer {
 public:
  bool listen_after_bind() {
    std::this_thread::sleep_for(20ms);
    std::unique_lock lock(mutex_);
    running_ = true;
    stopped_.wait(lock, [this] { return !running_; });
    return true;
  }
  bool is_running() const {
    const std::lock_guard lock(mutex_);
    return running_;
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    running_ = false;
    stopped_.notify_all();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool running_ = false;
};

TEST(Listener, StopsWhetherItHasBegunOrNot) {
  for (const auto head_start : {0ms, 10ms, 40ms}) {
    SlowServer server;
    Listener listener(server);
    std::thread runs([&] { EXPECT_TRUE(listener.run()); });
    std::this_thread::sleep_for(head_start);
    listener.stop();
    runs.join();
    EXPECT_FALSE(server.is_running());
  }
}

TEST(Listener, DoesNotBeginOnceStopped) {
  SlowServer server;
  Listener listener(server);
  listener.stop();
  listener.stop();
  EXPECT_TRUE(listener.run());
}

}  // namespace
}  // namespace stepdown
