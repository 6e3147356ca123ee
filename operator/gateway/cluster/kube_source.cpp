#include "operator/gateway/cluster/kube_source.h"

#include <mutex>
#include <optional>

#include <nlohmann/json.hpp>

#include "operator/gateway/cluster/resource.h"
#include "operator/kube/informer.h"
#include "operator/kube/resources.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;

kube::Informer::Options model_options(const std::string& ns, const std::string& model) {
  kube::Informer::Options options;
  options.list.ns = ns;
  options.list.field_selector = "metadata.name=" + model;
  options.trim = [](json& object) {
    object["metadata"].erase("managedFields");
    for (const char* unread : {"candidates", "baseline", "findings"}) {
      if (object.contains("status")) object["status"].erase(unread);
    }
  };
  return options;
}

kube::Informer::Options slice_options(const std::string& ns, const std::string& model) {
  kube::Informer::Options options;
  options.list.ns = ns;
  options.list.label_selector = "stepdown.dev/model=" + model;
  return options;
}

class KubeSource final : public RouteSource {
 public:
  KubeSource(const kube::Client& client, std::string ns, std::string model)
      : key_{std::move(ns), std::move(model)},
        models_(client, kQuantizedModels, model_options(key_.ns, key_.name)),
        slices_(client, kube::resources::kEndpointSlices, slice_options(key_.ns, key_.name)) {}
  ~KubeSource() override { KubeSource::stop(); }

  void start(std::function<void(Snapshot)> on_change) override {
    on_change_ = std::move(on_change);
    models_.on_change([this](const kube::Informer::Change&) { look(); });
    slices_.on_change([this](const kube::Informer::Change&) { look(); });
    slices_.on_synced([this] { look(); });
    models_.start();
    slices_.start();
  }

  void stop() override {
    models_.stop();
    slices_.stop();
  }

 private:
  void look() {
    const std::lock_guard lock(mutex_);
    const kube::ObjectPtr model = models_.get(key_);
    // Deleted, or not there yet, or no engine is known so far: what was known stays in force.
    if (!model || !slices_.synced()) return;
    std::vector<json> slices;
    for (const kube::ObjectPtr& slice : slices_.list()) slices.push_back(*slice);
    Snapshot snapshot = read_snapshot(*model, slices);
    if (last_ && *last_ == snapshot) return;
    last_ = snapshot;
    on_change_(std::move(snapshot));
  }

  kube::ObjectKey key_;
  std::function<void(Snapshot)> on_change_;
  std::mutex mutex_;
  std::optional<Snapshot> last_;
  kube::Informer models_;
  kube::Informer slices_;
};

}  // namespace

std::unique_ptr<RouteSource> make_kube_source(const kube::Client& client, std::string ns, std::string model) {
  return std::make_unique<KubeSource>(client, std::move(ns), std::move(model));
}

}  // namespace stepdown::gateway
