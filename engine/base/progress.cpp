#include "engine/base/progress.h"

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "engine/base/printable.h"

namespace stepdown {

using Clock = std::chrono::steady_clock;

Progress::Progress(std::string label, std::uint64_t total, std::string_view unit)
    : label_(std::move(label)),
      unit_(unit),
      total_(std::max<std::uint64_t>(total, 1)),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  show(true);
  if (terminal_) std::fputc('\n', stderr);
}

void Progress::advance(std::uint64_t count) {
  done_ = std::min(done_ + count, total_);
  const auto interval = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(1000);
  if (Clock::now() - shown_ >= interval) show(false);
}

void Progress::skip(std::uint64_t count) {
  const std::uint64_t counted = std::min(count, total_ - done_);
  skipped_ += counted;
  done_ += counted;
}

void Progress::show(bool last) {
  shown_ = Clock::now();
  const double elapsed = std::chrono::duration<double>(shown_ - start_).count();
  const bool known = last || done_ > skipped_;
  const double seconds = last ? elapsed
                              : elapsed * static_cast<double>(total_ - done_) /
                                    static_cast<double>(std::max<std::uint64_t>(1, done_ - skipped_));
  if (!terminal_) {
    nlohmann::json line = {{"progress", label_}, {"done", done_}, {"total", total_}};
    if (known) line[last ? "elapsed_s" : "eta_s"] = seconds;
    if (!note_.empty()) line["note"] = note_;
    std::fprintf(stderr, "%s\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  constexpr int kWidth = 30;
  constexpr std::size_t kNote = 80;
  const int filled = static_cast<int>(kWidth * done_ / total_);
  const std::string bar = std::string(static_cast<std::size_t>(filled), '#') +
                          std::string(static_cast<std::size_t>(kWidth - filled), '.');
  char time[32] = "";
  if (known) std::snprintf(time, sizeof time, "%s %.0fs", last ? "took" : "ETA", seconds);
  std::fprintf(stderr, "\r\x1b[K%s [%s] %llu/%llu%s %s  %s", printable(label_).c_str(), bar.c_str(),
               static_cast<unsigned long long>(done_), static_cast<unsigned long long>(total_), unit_.c_str(),
               time, printable(note_, kNote).c_str());
  std::fflush(stderr);
}

}  // namespace stepdown
