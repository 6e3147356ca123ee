#pragma once

#include <cstddef>
#include <span>

namespace stepdown::kernels {

/// Anonymous zeroed memory in whole pages. Untouched pages take no memory.
class PageBuffer {
 public:
  enum class Pages {
    kSmall,  ///< filled piece by piece: every page counts
    kHuge,  ///< read end to end each step, where small pages would cost a TLB miss every 4 KiB; a wish, not a
            ///< must
  };

  PageBuffer() = default;
  /// Throws Error when the system has no memory left.
  PageBuffer(std::size_t bytes, Pages pages);
  ~PageBuffer();
  PageBuffer(PageBuffer&& other) noexcept;
  PageBuffer& operator=(PageBuffer&& other) noexcept;
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;

  std::byte* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace stepdown::kernels
