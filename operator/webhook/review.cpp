#include "operator/webhook/review.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/json_nesting.h"
#include "engine/fetch/source.h"
#include "operator/compat/rules.h"
#include "operator/kube/object.h"

namespace stepdown::webhook {
namespace {

using nlohmann::json;

constexpr const char* kReviewVersion = "admission.k8s.io/v1";
constexpr std::size_t kWarningLength = 256;  // the API server cuts there
constexpr int kDeepest = 128;                // what is read of a spec is printed again, level by level

Answer not_a_review(const std::string& why) {
  return {400, why + "; this is the admission webhook of stepdown-operator\n"};
}

Answer respond(const std::string& uid, json response) {
  response["uid"] = uid;
  const json answer = {
      {"apiVersion", kReviewVersion}, {"kind", "AdmissionReview"}, {"response", std::move(response)}};
  return {200, answer.dump(-1, ' ', false, json::error_handler_t::replace)};
}

Answer allow(const std::string& uid, const std::vector<std::string>& warnings = {}) {
  json response = {{"allowed", true}};
  if (!warnings.empty()) response["warnings"] = warnings;
  return respond(uid, std::move(response));
}

Answer deny(const std::string& uid, const std::string& message, const std::vector<std::string>& warnings) {
  json response = {
      {"allowed", false},
      {"status", {{"status", "Failure"}, {"code", 422}, {"reason", "Invalid"}, {"message", message}}}};
  if (!warnings.empty()) response["warnings"] = warnings;
  return respond(uid, std::move(response));
}

std::string text_of(const compat::Finding& finding) {
  return finding.id + " " + finding.path + ": " + finding.message + "; " + finding.mend;
}

/// Whether the change leaves nothing new to judge.
bool settled(const json& object, const json& before) {
  return kube::is_being_deleted(object) ||
         (before.is_object() && kube::value_at(object, "/spec") == kube::value_at(before, "/spec"));
}

/// What the inspect Job read, as long as it read this source; with another pin it is fetched anew.
std::optional<api::ModelFacts> facts(const api::QuantizedModel& model, const json& before) {
  const auto& known = model.status.model;
  const std::string& source = model.spec.model.source;
  if (!known || kube::text_at(before, "/spec/model/source") != source) return std::nullopt;
  const bool same_pin = kube::text_at(before, "/spec/model/revision") == model.spec.model.revision;
  if (fetch::is_remote(source) && !same_pin) return std::nullopt;
  return *known;
}

Answer judge(const std::string& uid, const json& object, const json& before, const Profiles& profiles) {
  const api::QuantizedModel model = api::parse_quantized_model(object, api::UnknownFields::kIgnore);
  compat::Inventory inventory;
  inventory.model = facts(model, before);
  inventory.profile = profiles(model.spec.serving.engine);
  std::vector<std::string> warnings;
  std::string errors;
  for (const compat::Finding& finding : compat::judge(model.spec, inventory)) {
    if (finding.severity == compat::Severity::kError) {
      errors += (errors.empty() ? "" : "\n") + text_of(finding);
    } else if (finding.severity == compat::Severity::kWarning) {
      warnings.push_back(text_of(finding).substr(0, kWarningLength));
    }
  }
  return errors.empty() ? allow(uid, warnings) : deny(uid, errors, warnings);
}

}  // namespace

Answer review(std::string_view body, const Profiles& profiles) {
  const json review = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!review.is_object() || kube::text_at(review, "/apiVersion") != kReviewVersion ||
      kube::text_at(review, "/kind") != "AdmissionReview") {
    return not_a_review("the body is no admission.k8s.io/v1 AdmissionReview");
  }
  const std::string uid = kube::text_at(review, "/request/uid");
  if (uid.empty()) return not_a_review("the AdmissionReview has no request.uid");
  const json& object = kube::value_at(review, "/request/object");
  const json& before = kube::value_at(review, "/request/oldObject");
  const bool ours = kube::text_at(review, "/request/kind/kind") == "QuantizedModel" &&
                    kube::text_at(review, "/request/kind/group") == api::kGroup;
  if (!ours || !object.is_object()) return allow(uid);
  if (nests_deeper(body, kDeepest)) return deny(uid, "the object nests too deeply; flatten it", {});
  if (settled(object, before)) return allow(uid);
  try {
    return judge(uid, object, before, profiles);
  } catch (const InputError& error) {
    return deny(uid, error.what(), {});
  }
}

}  // namespace stepdown::webhook
