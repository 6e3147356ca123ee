#include "operator/gateway/http/message.h"

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

std::string_view find_header(const Headers& headers, std::string_view name) {
  const auto found =
      std::find_if(headers.begin(), headers.end(), [&](const Header& h) { return same_name(h.name, name); });
  return found == headers.end() ? std::string_view() : std::string_view(found->value);
}

Response error_response(int status, std::string_view type, std::string_view code, std::string_view message) {
  const nlohmann::json body = {{"error", {{"message", message}, {"type", type}, {"code", code}}}};
  return {status,
          {{"content-type", "application/json"}},
          body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

}  // namespace stepdown::gateway
