#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stepdown::gateway {

/// Finds output that has fallen into a loop, as text arrives. Two signs:
/// - an exact period: the last bytes repeat a unit of up to 680 bytes at least six times over at least 32
/// bytes
///   (128 where the unit holds no letter: rulers, padding and number tables are common in healthy text);
/// - a near-loop: of the last 96 words, under 35 % of the word triples differ.
/// Short periods are looked for every 32 bytes, the rest every 256, some 60 ns a byte in all.
/// Bytes are taken as they come, so that a loop inside a JSON string is a loop too.
class LoopDetector {
 public:
  /// Takes the next piece of text; true from the first piece that shows a loop on.
  bool add(std::string_view text);
  bool looping() const { return looping_; }

 private:
  std::string tail_;
  std::size_t seen_ = 0;  // bytes
  bool looping_ = false;
};

}  // namespace stepdown::gateway
