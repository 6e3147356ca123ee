#pragma once

#include <cstdint>

namespace stepdown::schema {

/// UTF-8 in a string, byte by byte: 0 between code points, a lead byte when its second byte is due, else 1 or
/// 2 further continuation bytes to come.
inline constexpr std::int32_t kNoUtf8 = -1;
std::int32_t next_utf8(std::int32_t state, unsigned char byte);

}  // namespace stepdown::schema
