#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace stepdown {

/// Progress of one long piece of work: a bar with rate and ETA on a terminal, JSON lines
/// ({"progress": label, "done": n, "total": m, "eta_s": s}, the last once it is known) at most once a second
/// otherwise. Standard error.
/// One thread at a time.
class Progress {
 public:
  Progress(std::string label, std::uint64_t total, std::string_view unit = "");
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::uint64_t count = 1);
  /// What an earlier run did counts as done, and not for the time that is left.
  void skip(std::uint64_t count);
  /// A short remark shown behind the bar, e.g. the layer at work.
  void note(std::string text) { note_ = std::move(text); }

 private:
  void show(bool last);

  std::string label_;
  std::string unit_;
  std::string note_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::uint64_t skipped_ = 0;  ///< of those
  bool terminal_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_{};
};

}  // namespace stepdown
