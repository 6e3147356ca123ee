#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_set>

namespace stepdown::gateway {

/// The last `capacity` keys: sessions whose error was counted, so that each counts one at most.
class Seen {
 public:
  explicit Seen(std::size_t capacity) : capacity_(capacity) {}

  bool contains(const std::string& key) const { return keys_.contains(key); }
  /// False when it was there.
  bool insert(const std::string& key) {
    if (!keys_.insert(key).second) return false;
    order_.push_back(key);
    if (order_.size() > capacity_) {
      keys_.erase(order_.front());
      order_.pop_front();
    }
    return true;
  }

 private:
  std::size_t capacity_;
  std::unordered_set<std::string> keys_;
  std::deque<std::string> order_;
};

}  // namespace stepdown::gateway
