#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/local/api/api_error.h"

namespace stepdown::local::api {

struct User {
  std::string name;
  std::vector<std::string> groups;
};

/// One HTTP request, free of the HTTP library.
struct Request {
  std::string method;
  std::string path;
  std::multimap<std::string, std::string> query;
  std::string accept;
  std::string content_type;
  std::string user_agent;
  std::string body;
  User user;
  User impersonate;  ///< whom the user asks to be taken for; no name and no groups: nobody

  std::string param(const std::string& name) const;
  bool flag(const std::string& name) const;
  /// Throws ApiError 400 when present and no number.
  std::optional<std::int64_t> number(const std::string& name) const;
};

/// A response body that comes bit by bit.
class Stream {
 public:
  Stream() = default;
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  /// The next bytes; empty: none for now (called again); nullopt: the end. Blocks for a second at most.
  virtual std::optional<std::string> next() = 0;
};

struct Response {
  int code = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::string> warnings;
  std::unique_ptr<Stream> stream;
};

/// What a resource request is about, parsed from method and path.
struct Target {
  std::string verb;  ///< get, list, watch, create, update, patch, delete, deletecollection
  std::string group, version, plural, space, name, subresource;
};

/// nullopt when the path is no resource path (/api/VERSION/… or /apis/GROUP/VERSION/…).
std::optional<Target> parse_target(const Request& request);

Response json_response(int code, const Json& body);

}  // namespace stepdown::local::api
