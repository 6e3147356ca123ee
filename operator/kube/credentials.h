#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "operator/kube/config.h"

namespace stepdown::kube {

/// What proves who we are, at one moment.
struct Identity {
  std::string authorization;       ///< value of the header; empty: none
  std::string client_certificate;  ///< PEM
  std::string client_key;          ///< PEM
  std::uint64_t generation = 0;    ///< rises when anything above changed
};

/// What an exec plugin printed.
struct ExecCredential {
  std::string token;
  std::string client_certificate;
  std::string client_key;
  std::optional<std::chrono::system_clock::time_point> expires;
};

/// Parses an ExecCredential of client.authentication.k8s.io; throws Error naming the plugin.
ExecCredential parse_exec_credential(std::string_view output, const ExecPlugin& plugin);
/// Runs the plugin and waits for it (its standard error is ours). Throws Error.
ExecCredential run_exec_plugin(const ExecPlugin& plugin, const Config& config);

/// Keeps the identity fresh: reads a token file again every 10 s, runs the exec plugin again before its
/// credential expires, and does both at once after the server rejected the identity. Safe from any thread.
class Credentials {
 public:
  explicit Credentials(const Config& config) : config_(config) {}

  /// Throws Error when a file or a plugin fails and no usable identity is left.
  Identity current();
  /// The server answered 401 to this generation.
  void reject(std::uint64_t generation);

 private:
  using Clock = std::chrono::system_clock;

  bool due(Clock::time_point now) const;
  void refresh(Clock::time_point now);

  const Config config_;
  std::mutex mutex_;
  std::optional<Identity> identity_;
  std::optional<Clock::time_point> fresh_until_;
  bool rejected_ = false;
};

}  // namespace stepdown::kube
