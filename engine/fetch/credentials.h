#pragma once

#include <filesystem>
#include <optional>
#include <string>

/// Secrets come from a mounted folder (a Kubernetes Secret: one file a key) or from the environment, and go
/// nowhere but into requests: no message or log holds one.
namespace stepdown::fetch {

class Credentials {
 public:
  /// `folder`: empty for the environment alone.
  explicit Credentials(std::filesystem::path folder);

  /// The file of that name, or else the environment variable; without white space around it. Empty: neither.
  std::string value(const std::string& name) const;
  /// The file alone.
  std::string file(const std::string& name) const;
  /// The file's path, where it exists.
  std::string path_of(const std::string& name) const;

 private:
  std::filesystem::path folder_;
};

struct RegistryLogin {
  std::string username;
  std::string password;
  std::string identity_token;  ///< to be exchanged for an access token, instead of a password

  bool empty() const { return username.empty() && identity_token.empty(); }
};

/// The login for `host` (with its port, if it is not 443) in a Docker config.json; throws InputError when
/// that is not one.
RegistryLogin login_in_docker_config(const std::string& json_text, const std::string& host,
                                     const std::string& repository);

/// From username and password (or token), else from .dockerconfigjson or config.json, else from
/// $DOCKER_CONFIG/config.json or ~/.docker/config.json where no folder was given.
RegistryLogin registry_login(const Credentials& credentials, const std::string& host,
                             const std::string& repository);

}  // namespace stepdown::fetch
