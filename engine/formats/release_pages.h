#pragma once

#include <cstddef>
#include <span>

namespace stepdown::formats {

/// Gives back the whole pages of a read-only file mapping; they are read anew when touched. Heap memory
/// reads as zeros from then on.
void release_pages(std::span<const std::byte> mapped);

}  // namespace stepdown::formats
