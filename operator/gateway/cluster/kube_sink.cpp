#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/gateway/cluster/kube_source.h"
#include "operator/gateway/cluster/resource.h"
#include "operator/gateway/cluster/verdict_status.h"
#include "operator/gateway/judge/member.h"
#include "operator/kube/client.h"
#include "operator/kube/time.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kCountsEvery{5};
constexpr std::chrono::milliseconds kFirstBackoff{200};
constexpr std::chrono::milliseconds kLongestBackoff{5000};
constexpr const char* kFieldManager = "stepdown-gateway";

class KubeSink final : public VerdictSink {
 public:
  KubeSink(const kube::Client& client, std::string ns, std::string model)
      : client_(client), key_{std::move(ns), std::move(model)}, thread_([this] { run(); }) {}

  ~KubeSink() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void tell(const json& status, bool urgent) override {
    {
      const std::lock_guard lock(mutex_);
      if (wanted_ && *wanted_ == status) return;
      wanted_ = status;
      urgent_ = urgent_ || urgent;
    }
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    steady_clock::time_point next_counts{};
    while (!stopping_) {
      changed_.wait(lock, [this] { return stopping_ || dirty(); });
      changed_.wait_until(lock, next_counts, [this] { return stopping_ || urgent_; });
      if (stopping_ || !dirty()) continue;
      const json status = *wanted_;
      urgent_ = false;
      lock.unlock();
      const bool written = write(status);
      lock.lock();
      if (written) {
        written_ = status;
        backoff_ = kFirstBackoff;
        next_counts = steady_clock::now() + kCountsEvery;
      } else {
        changed_.wait_for(lock, backoff_, [this] { return stopping_; });
        backoff_ = std::min(2 * backoff_, kLongestBackoff);
        urgent_ = true;
      }
    }
  }

  bool dirty() const { return wanted_ && (!written_ || *written_ != *wanted_); }

  bool write(json status) {
    try {
      const auto found = client_.get(kQuantizedModels, key_);
      if (!found.ok()) {
        if (found.error().not_found()) return true;  // deleted: nothing to tell any more
        log::warn("cannot read the last verdict", {{"error", found.error().text()}});
        return false;
      }
      keep_transition_times(status["conditions"], member(member(found.value(), "status"), "conditions"),
                            kube::format_time(std::chrono::system_clock::now()));
      const json object = {{"apiVersion", kQuantizedModels.api_version()},
                           {"kind", "QuantizedModel"},
                           {"metadata", {{"name", key_.name}, {"namespace", key_.ns}}},
                           {"status", std::move(status)}};
      const auto result = client_.apply_status(kQuantizedModels, object, {kFieldManager, true, false});
      if (result.ok() || result.error().not_found()) return true;
      log::warn("cannot write the verdict", {{"error", result.error().text()}});
    } catch (const std::exception& error) {
      log::warn("cannot write the verdict; it holds here all the same", {{"error", error.what()}});
    }
    return false;
  }

  kube::Client client_;
  kube::ObjectKey key_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<json> wanted_;
  std::optional<json> written_;
  bool urgent_ = false;
  bool stopping_ = false;
  std::chrono::milliseconds backoff_ = kFirstBackoff;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<VerdictSink> make_kube_sink(const kube::Client& client, std::string ns, std::string model) {
  return std::make_unique<KubeSink>(client, std::move(ns), std::move(model));
}

}  // namespace stepdown::gateway
