#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <strings.h>

namespace stepdown {

/// Why nobody can be sure where the body of this request to a cpp-httplib server ends, which the library
/// itself guesses (RFC 9112 6.1, 6.3); empty: it is sure. For pre-routing handlers: the answer is a 400.
template <class Request>
std::string_view framing_fault(const Request& request) {
  constexpr std::size_t kLongestLength = 18;  // digits: within 64 bits
  constexpr std::size_t kMostHeaders = 200;
  if (request.headers.size() > kMostHeaders) return "a request has at most 200 headers";
  const auto lengths = request.get_header_value_count("Content-Length");
  const auto codings = request.get_header_value_count("Transfer-Encoding");
  if (codings > 0 && lengths > 0) return "a request has a Content-Length or a Transfer-Encoding, not both";
  if (lengths > 1) return "a request has one Content-Length";
  if (lengths == 1) {
    const std::string length = request.get_header_value("Content-Length");
    const bool digits =
        !length.empty() && length.size() <= kLongestLength &&
        std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return "Content-Length is not a number of bytes";
  }
  if (codings == 0) return {};
  const std::string coding = request.get_header_value("Transfer-Encoding");
  const bool chunked = codings == 1 && strcasecmp(coding.c_str(), "chunked") == 0;
  return chunked ? std::string_view() : "only Transfer-Encoding: chunked is understood";
}

/// Answers such requests to a cpp-httplib server with 400 and one sentence.
template <class Server>
void refuse_unclear_framing(Server& server) {
  server.set_pre_routing_handler([](const auto& request, auto& response) {
    const std::string_view fault = framing_fault(request);
    if (fault.empty()) return Server::HandlerResponse::Unhandled;
    response.status = 400;
    response.set_content(std::string(fault) + "\n", "text/plain");
    return Server::HandlerResponse::Handled;
  });
}

}  // namespace stepdown
