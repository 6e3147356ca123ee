#pragma once

#include <atomic>
#include <utility>

namespace stepdown::server {

/// Counts a request or a connection for as long as it is open.
class Open {
 public:
  explicit Open(std::atomic<int>& count) : count_(&count) { ++count; }
  Open(Open&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  ~Open() {
    if (count_ != nullptr) --*count_;
  }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  Open& operator=(Open&&) = delete;

 private:
  std::atomic<int>* count_;
};

}  // namespace stepdown::server
