#pragma once

#include <cstddef>
#include <string_view>

namespace stepdown {

/// Follows the brackets of a JSON text, byte by byte, without building anything of it.
class JsonNesting {
 public:
  void take(char c);
  int depth() const { return depth_; }  ///< brackets open now
  bool in_string() const { return in_string_; }

 private:
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;  ///< the next byte stands for itself
};

/// Whether one of a text's objects has more than `members`.
bool holds_wider_object(std::string_view text, std::size_t members);

/// Whether a text from outside nests deeper than `levels`: what is built of it would be walked recursively.
bool nests_deeper(std::string_view text, int levels);

}  // namespace stepdown
