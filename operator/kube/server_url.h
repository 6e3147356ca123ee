#pragma once

#include <string>
#include <string_view>

namespace stepdown::kube {

/// The parts of Config::server.
struct ServerUrl {
  bool tls = true;
  std::string host;  ///< without brackets
  int port = 443;
  std::string prefix;  ///< "" or "/path", without a slash at its end
};

/// Throws InputError. Plain http is for loopback addresses alone (`kubectl proxy`).
ServerUrl parse_server_url(std::string_view url);

}  // namespace stepdown::kube
