#include "operator/webhook/webhook.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/kube/informer.h"
#include "operator/webhook/server.h"

namespace stepdown::webhook {
namespace {

const kube::GroupVersionResource kEngineProfiles{api::kGroup, api::kVersion, "engineprofiles"};
constexpr std::chrono::seconds kLongestPause{60};
constexpr std::chrono::seconds kRetryPause{2};
constexpr std::chrono::seconds kDrain{5};  // an idle connection's life, too: by then none is reused

std::optional<api::EngineProfile> profile(const kube::Informer& known, const std::string& name) {
  const kube::ObjectPtr found = known.get({"", name});
  if (!found) return std::nullopt;
  return api::parse_engine_profile(*found, api::UnknownFields::kIgnore);
}

/// Several looks within the shortest life, and at least one a minute.
std::chrono::seconds pause_between(const Lifetimes& lifetimes) {
  return std::clamp(std::min(lifetimes.serving, lifetimes.announcement) / 6, std::chrono::seconds{1},
                    kLongestPause);
}

}  // namespace

struct Webhook::State {
  State(const kube::Client& client, const Options& options)
      : keeper(client, options.names, options.lifetimes),
        profiles(client, kEngineProfiles, {}),
        server(options.port,
               [this](const std::string& body) {
                 return review(body, [this](const std::string& name) { return profile(profiles, name); });
               }),
        pause(pause_between(options.lifetimes)) {
    if (options.engine_profiles) profiles.start();
    thread = std::jthread([this](const std::stop_token& stop) { keep(stop); });
  }

  void keep(const std::stop_token& stop) {
    Certificates serving;
    while (!stop.stop_requested()) {
      std::chrono::seconds until_next = pause;
      try {
        Certificates fresh = keeper.refresh(std::chrono::system_clock::now());
        if (fresh.serving != serving.serving) server.use(fresh.serving);
        serving = std::move(fresh);
        ready = true;
      } catch (const Error& error) {
        log::warn("cannot keep the webhook's certificates; trying again", {{"error", error.what()}});
        until_next = kRetryPause;
      }
      std::unique_lock lock(mutex);
      wake.wait_for(lock, stop, until_next, [] { return false; });
    }
  }

  CertificateKeeper keeper;
  kube::Informer profiles;
  Server server;
  std::chrono::seconds pause;
  std::atomic<bool> ready = false;
  std::mutex mutex;
  std::condition_variable_any wake;
  std::jthread thread;  // last: it uses all of the above
};

Webhook::Webhook(const kube::Client& client, const Options& options)
    : state_(std::make_unique<State>(client, options)) {}
Webhook::~Webhook() = default;

std::string Webhook::not_ready() const {
  return state_->ready ? "" : "the webhook has no certificate yet";
}

void Webhook::drain() {
  state_->server.leave();
  std::this_thread::sleep_for(kDrain);
}

}  // namespace stepdown::webhook
