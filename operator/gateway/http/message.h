#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::gateway {

struct Header {
  std::string name;
  std::string value;
};
using Headers = std::vector<Header>;

/// The first header of that name, whatever its case; empty when there is none.
std::string_view find_header(const Headers& headers, std::string_view name);

struct Request {
  std::string method;
  std::string target;
  Headers headers;
  std::string body;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

/// An OpenAI-shaped error: {"error": {"message", "type", "code"}}.
Response error_response(int status, std::string_view type, std::string_view code, std::string_view message);

struct Address {
  std::string host;  ///< an IP address
  std::uint16_t port = 0;
  auto operator<=>(const Address&) const = default;
  std::string text() const { return host + ":" + std::to_string(port); }
};

}  // namespace stepdown::gateway
