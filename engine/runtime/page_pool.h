#pragma once

#include <cstdint>
#include <vector>

namespace stepdown::runtime {

/// Free pages of the key-value cache. The last page given back is the first taken, so that memory once
/// touched is used again before new memory.
class PagePool {
 public:
  explicit PagePool(std::int64_t pages) : total_(pages) {
    for (std::int64_t page = pages; page-- > 0;) free_.push_back(static_cast<std::int32_t>(page));
  }

  /// Grows `owned` to hold `tokens`; false, and nothing taken, when too few pages are free.
  bool grow(std::vector<std::int32_t>& owned, std::int64_t tokens, std::int64_t page_tokens) {
    const auto wanted = static_cast<std::size_t>((tokens + page_tokens - 1) / page_tokens);
    if (wanted <= owned.size()) return true;
    if (wanted - owned.size() > free_.size()) return false;
    while (owned.size() < wanted) {
      owned.push_back(free_.back());
      free_.pop_back();
    }
    return true;
  }
  void give_back(std::vector<std::int32_t>& owned) {
    free_.insert(free_.end(), owned.rbegin(), owned.rend());
    owned.clear();
  }
  double usage() const {
    return total_ == 0 ? 0.0 : 1.0 - static_cast<double>(free_.size()) / static_cast<double>(total_);
  }

 private:
  std::int64_t total_;
  std::vector<std::int32_t> free_;
};

}  // namespace stepdown::runtime
