#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <vector>

namespace stepdown::formats {

/// Bytes of tensors that are made from stored ones when they are asked for (rows in another order, experts
/// side by side, merged adapters), so that a model's never lie in memory all at once. Each has addresses from
/// the beginning, which cannot be read before prepare(). Different parts may be prepared and released by
/// different threads at once.
class LazyTensors {
 public:
  using Fill = std::function<void(std::span<std::byte>)>;

  LazyTensors() = default;
  ~LazyTensors();
  LazyTensors(const LazyTensors&) = delete;
  LazyTensors& operator=(const LazyTensors&) = delete;

  /// Room for parts of `part_bytes` one behind another, each made by a function of its own.
  std::span<const std::byte> add(std::size_t part_bytes, std::vector<Fill> parts);
  /// Whether the bytes are of this kind.
  bool holds(std::span<const std::byte> bytes) const { return find(bytes) != nullptr; }
  /// Makes all parts that the bytes touch; nothing where they are of another kind.
  void prepare(std::span<const std::byte> bytes) const;

 private:
  struct Entry {
    std::span<std::byte> memory;
    std::size_t part_bytes;
    std::vector<Fill> parts;
  };
  const Entry* find(std::span<const std::byte> bytes) const;

  std::map<const std::byte*, Entry> entries_;  ///< by where they begin
};

}  // namespace stepdown::formats
