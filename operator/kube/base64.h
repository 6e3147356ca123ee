#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stepdown::kube {

std::string base64_encode(std::string_view bytes);
/// Standard alphabet with padding, line breaks allowed; nullopt when it is not base64.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace stepdown::kube
