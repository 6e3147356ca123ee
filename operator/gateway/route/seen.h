#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_set>

#include "engine/base/hash.h"

namespace stepdown::gateway {

/// The last `capacity` keys: sessions whose error was counted, so that each counts one at most. Of a key its
/// hash is kept: clients choose how long their sessions' names are.
class Seen {
 public:
  explicit Seen(std::size_t capacity) : capacity_(capacity) {}

  bool contains(const std::string& key) const { return !keys_.empty() && keys_.contains(sha256_hex(key)); }
  /// False when it was there.
  bool insert(const std::string& key) {
    const auto [added, is_new] = keys_.insert(sha256_hex(key));
    if (!is_new) return false;
    order_.push_back(*added);
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
