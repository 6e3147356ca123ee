#pragma once

#include <filesystem>
#include <string>

namespace stepdown::local::api {

/// PEM texts of the server's own authority, its serving certificate and the administrator's client
/// certificate.
struct Certificates {
  std::string ca;
  std::string server, server_key;
  std::string admin, admin_key;
};

/// Reads them from `folder`, or makes them (EC P-256, ten years) where they are missing. Keys are readable by
/// the owner alone.
Certificates load_certificates(const std::filesystem::path& folder);

/// 32 random bytes kept in `file`.
std::string load_secret(const std::filesystem::path& file);

}  // namespace stepdown::local::api
