#include "operator/kube/credentials.h"

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/log.h"
#include "operator/kube/base64.h"

namespace stepdown::kube {
namespace {

constexpr std::chrono::seconds kTokenFilePeriod{10};
constexpr std::chrono::seconds kExpiryMargin{30};

std::string read_token(const std::filesystem::path& path) {
  std::string token = read_file(path);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' '))
    token.pop_back();
  if (token.empty()) throw Error("the token file is empty", path.string());
  return token;
}

}  // namespace

bool Credentials::due(Clock::time_point now) const {
  return !identity_ || rejected_ || (fresh_until_ && now >= *fresh_until_);
}

Identity Credentials::current() {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (due(now)) {
    try {
      refresh(now);
    } catch (const Error& error) {
      // A token being rotated this moment is no reason to stop: the old one is most likely good for some
      // time.
      if (!identity_ || rejected_) throw;
      log::warn("cannot renew credentials", {{"error", error.what()}});
      fresh_until_ = now + kTokenFilePeriod;
    }
  }
  return *identity_;
}

void Credentials::reject(std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  // Nothing to renew in a fixed token: another try would be refused as well.
  const bool renewable = config_.exec || !config_.token_file.empty();
  if (identity_ && identity_->generation == generation && renewable) rejected_ = true;
}

void Credentials::refresh(Clock::time_point now) {
  Identity next;
  std::string token = config_.token;
  next.client_certificate = config_.client_certificate;
  next.client_key = config_.client_key;
  std::optional<Clock::time_point> fresh_until;
  if (config_.exec) {
    ExecCredential credential = run_exec_plugin(*config_.exec, config_);
    token = std::move(credential.token);
    if (!credential.client_certificate.empty()) {
      next.client_certificate = std::move(credential.client_certificate);
      next.client_key = std::move(credential.client_key);
    }
    if (credential.expires) fresh_until = *credential.expires - kExpiryMargin;
  } else if (!config_.token_file.empty()) {
    token = read_token(config_.token_file);
    fresh_until = now + kTokenFilePeriod;
  }
  if (!token.empty()) {
    next.authorization = "Bearer " + token;
  } else if (!config_.username.empty()) {
    next.authorization = "Basic " + base64_encode(config_.username + ":" + config_.password);
  }
  const bool same = identity_ && identity_->authorization == next.authorization &&
                    identity_->client_certificate == next.client_certificate;
  next.generation = !identity_ ? 1 : identity_->generation + (same ? 0 : 1);
  identity_ = std::move(next);
  fresh_until_ = fresh_until;
  rejected_ = false;
}

}  // namespace stepdown::kube
