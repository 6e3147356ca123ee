#include <cstddef>
#include <cstdint>
#include <string_view>

#include "operator/local/api/body.h"
#include "operator/local/api/builtins.h"
#include "operator/local/api/field_set.h"
#include "operator/local/api/managed_fields.h"
#include "operator/local/api/schema_walk.h"
#include "operator/local/api/strategic_merge.h"

// One JSON or YAML text, taken for each thing that a request body can be.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::local::api;
  static const Builtins kBuiltins = load_builtins();
  static const Registry kRegistry(kBuiltins.resources);
  static const auto kDeployment = kRegistry.find("apps", "v1", "deployments");
  static const Json kLive = Json::parse(
      R"({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"a": "b"}},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 1, "protocol": "TCP"}]}]}}}})");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto attempt = [](auto work) {
    try {
      work();
    } catch (const ApiError&) {
    } catch (const Json::exception&) {
    }
  };
  attempt([&] { (void)parse_body(text, "application/vnd.kubernetes.protobuf"); });
  Json body;
  attempt([&] { body = parse_body(text, "application/yaml"); });
  attempt([&] { (void)kLive.patch(body); });
  attempt([&] { (void)strategic_merge(kLive, body, kDeployment->schema); });
  attempt([&] { (void)FieldSet::decode(body).paths(); });
  attempt([&] {
    Json object = body;
    std::vector<std::string> unknown;
    prune(object, *kDeployment->schema, true, unknown);
    apply_defaults(object, *kDeployment->schema);
    (void)validate(object, &kLive, *kDeployment->schema);
  });
  attempt([&] {
    if (!body.is_object()) return;
    Json live = apply_config(kLive, body, *kDeployment, {"fuzz", "", "2026-01-01T00:00:00Z"}, true);
    record_update(kLive, live, *kDeployment, {"other", "", "2026-01-01T00:00:00Z"});
  });
  return 0;
}
