#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace stepdown::local {

/// A child process that is kept alive: when it ends it starts again, after 0.2 s doubling to 10 s (a run of
/// 30 s clears that). It gets SIGTERM when its supervisor dies.
class SupervisedProcess {
 public:
  SupervisedProcess(std::string name, std::vector<std::string> argv, std::filesystem::path log);
  ~SupervisedProcess();
  SupervisedProcess(SupervisedProcess&&) = delete;

  /// Starts it when it is due, notices its end. Call often.
  void tend();
  /// SIGTERM, and SIGKILL after `grace`; returns when it has ended.
  void stop(std::chrono::seconds grace);
  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  const std::string& name() const { return name_; }
  const std::filesystem::path& log() const { return log_; }
  /// How often it ended on its own.
  int deaths() const { return deaths_; }

 private:
  using Clock = std::chrono::steady_clock;
  void start();
  bool reap(int options);

  std::string name_;
  std::vector<std::string> argv_;
  std::filesystem::path log_;
  pid_t pid_ = 0;
  int deaths_ = 0;
  std::chrono::milliseconds delay_{0};
  Clock::time_point started_{};
  Clock::time_point due_{};
};

}  // namespace stepdown::local
