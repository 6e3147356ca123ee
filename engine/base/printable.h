#pragma once

#include <string>
#include <string_view>

namespace stepdown {

/// A text from outside as one line of a terminal or a log may hold it: control characters become spaces,
/// bytes that are no UTF-8 and characters that steer a terminal or turn its writing direction "\x9b" or
/// "\u202e". Of one that is longer than `most` bytes both ends stay, as a message ends with what is wrong.
std::string printable(std::string_view text, std::size_t most = 2000);

}  // namespace stepdown
