#include "operator/local/api/request.h"

#include <charconv>

namespace stepdown::local::api {
namespace {

std::vector<std::string> segments(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return parts;
}

std::string verb_of(const Request& request, bool named) {
  if (request.method == "GET" || request.method == "HEAD") {
    if (request.flag("watch")) return "watch";
    return named ? "get" : "list";
  }
  if (request.method == "POST") return "create";
  if (request.method == "PUT") return "update";
  if (request.method == "PATCH") return "patch";
  if (request.method == "DELETE") return named ? "delete" : "deletecollection";
  return {};
}

}  // namespace

std::string Request::param(const std::string& name) const {
  const auto it = query.find(name);
  return it == query.end() ? std::string() : it->second;
}

bool Request::flag(const std::string& name) const {
  const std::string value = param(name);
  return value == "true" || value == "1" || (value.empty() && query.contains(name));
}

std::optional<std::int64_t> Request::number(const std::string& name) const {
  const std::string text = param(name);
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw bad_request("invalid value " + in_quotes(text) + " of query parameter " + name + ": not a number");
  }
  return value;
}

std::optional<Target> parse_target(const Request& request) {
  std::vector<std::string> parts = segments(request.path);
  Target target;
  std::size_t at = 0;
  if (parts.size() >= 3 && parts[0] == "api") {
    target.version = parts[1];
    at = 2;
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    target.group = parts[1];
    target.version = parts[2];
    at = 3;
  } else {
    return std::nullopt;
  }
  // /namespaces/NAME/status and /namespaces/NAME are about the namespace itself.
  const bool inside = parts[at] == "namespaces" && parts.size() >= at + 3 &&
                      !(parts.size() == at + 3 && (parts[at + 2] == "status" || parts[at + 2] == "finalize"));
  if (inside) {
    target.space = parts[at + 1];
    at += 2;
  }
  target.plural = parts[at++];
  if (at < parts.size()) target.name = parts[at++];
  if (at < parts.size()) target.subresource = parts[at++];
  if (at < parts.size()) return std::nullopt;
  target.verb = verb_of(request, !target.name.empty());
  return target;
}

Response json_response(int code, const Json& body) {
  Response response;
  response.code = code;
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return response;
}

}  // namespace stepdown::local::api
