#include "operator/controller/reconciler.h"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/compat/matrix.h"
#include "operator/controller/difference.h"
#include "operator/controller/ownership.h"
#include "operator/controller/resources.h"

namespace stepdown::controller {
namespace {

using nlohmann::json;

const kube::ApplyOptions kForced{.field_manager = kFieldManager, .force = true};

/// How often something is tried again that only a person can mend, and that no watch tells about.
constexpr std::chrono::seconds kObstacleDelay{15};

constexpr std::string_view kClaim = "PersistentVolumeClaim";

std::string kind_of(const json& object) {
  return kube::text_at(object, "/kind");
}

/// Nothing new may be made there: its claims go with it.
bool namespace_ends(const kube::ApiError& error) {
  return error.code == 403 && std::ranges::any_of(error.causes, [](const kube::ApiError::Cause& cause) {
           return cause.reason == "NamespaceTerminating";
         });
}

/// The same request will be refused again.
bool refused_for_good(const kube::ApiError& error) {
  return error.code == 400 || error.invalid() || (error.code == 403 && !namespace_ends(error));
}

/// A conflict with one who applies the field too, rather than one who once changed it: of the latter the API
/// server tells by which version of the API ("using apps/v1").
bool applied_by_another(const kube::ApiError& error) {
  return std::ranges::any_of(error.causes, [](const kube::ApiError::Cause& cause) {
    return cause.reason == "FieldManagerConflict" && cause.message.find(" using ") == std::string::npos;
  });
}

/// The record that a GitOps pipeline put there before.
bool same_revision(const json& a, const json& b) {
  const std::string digest = kube::text_at(a, "/spec/artifact/digest");
  return !digest.empty() && digest == kube::text_at(b, "/spec/artifact/digest");
}

bool is_labelled(const json& object) {
  return kube::label_of(object, "app.kubernetes.io/managed-by") == "stepdown";
}

std::string named(const json& object) {
  return kind_of(object) + " " + kube::key_of(object).name;
}

}  // namespace

void Reconciler::Refused::add(const json& object, const kube::ApiError& error) {
  if (refused_for_good(error)) {
    obstacles.push_back(
        {"ChildRefused", "the API server refuses " + named(object) + ": " + error.text(), false});
    return;
  }
  if (applied_by_another(error)) {
    obstacles.push_back({"ChildConflict",
                         "another program applies " + named(object) + " too: " + error.text() +
                             "; take these fields out of what it applies",
                         false});
    return;
  }
  if (!passing) passing = error;
  // The newer view is on its way, or the server is busy: nothing to tell.
  if (error.conflict() || error.already_exists() || namespace_ends(error) || error.code == 429) return;
  obstacles.push_back({rollout::kChildFailed,
                       "the API server fails at " + named(object) + ", which is tried again: " + error.text(),
                       true});
}

void Reconciler::Refused::name_taken(const WatchedKind& kind, const json& by) {
  obstacles.push_back({"NameTaken", taken_message(kind.kind, by), false});
}

struct Reconciler::Subject {
  kube::ObjectKey key;
  kube::ObjectPtr object;
  std::string version;  ///< the object's, or that of this pass's own write to it, which stood on no other
  ObjectsByKind around = {};
  bool learned = false;

  /// Of what the plan was made from; to unpack it once more from the cache would take longer.
  kube::ObjectPtr child(std::string_view kind, const kube::ObjectKey& child) const {
    const auto objects = around.find(kind);
    if (objects == around.end()) return nullptr;
    const auto found =
        std::ranges::find(objects->second, child, [](const auto& o) { return kube::key_of(*o); });
    return found == objects->second.end() ? nullptr : *found;
  }

  bool owns(std::string_view kind, const json& child) const {
    return belongs_to(kind, child, key, kube::uid_of(*object));
  }
};

Reconciler::Reconciler(kube::Client client, Cache& cache, kube::EventRecorder& events,
                       rollout::Settings settings, std::function<api::Time()> now)
    : client_(std::move(client)),
      cache_(cache),
      events_(events),
      settings_(std::move(settings)),
      now_(std::move(now)) {}

Reconciler::Outcome Reconciler::reconcile(const kube::ObjectKey& key) const {
  Subject subject{key, cache_.model(key), ""};
  if (!subject.object) return {};
  subject.version = kube::resource_version_of(*subject.object);
  api::QuantizedModel model = api::parse_quantized_model(*subject.object, api::UnknownFields::kIgnore);
  std::optional<api::EngineProfile> profile;
  if (const kube::ObjectPtr found = cache_.profile(model.spec.serving.engine)) {
    profile = api::parse_engine_profile(*found, api::UnknownFields::kIgnore);
  }
  // One that overrides a built-in profile may state a single field; without any the built-in serves.
  if (profile || model.spec.serving.engine != "stepdown") {
    profile = compat::effective_profile(model.spec.serving.engine, profile);
  }
  subject.around = cache_.around(model);
  rollout::Observed observed = gather(std::move(model), subject.around, std::move(profile));
  if (judged_by_nodes(*subject.object)) observed.nodes = cache_.nodes();
  if (observed.model.metadata.deleting || !observed.model.status.leftovers.empty()) {
    observed.elsewhere = read_elsewhere(key.name, cache_.neighbours(key), now_());
  }
  rollout::Plan plan = rollout::make_plan(observed, settings_, now_());

  Outcome outcome{.writes = 0, .look_again = plan.look_again};
  const bool deleting = observed.model.metadata.deleting;
  if (!deleting) outcome.writes += write_finalizers(subject, plan);
  Refused refused;
  outcome.writes += apply(subject, plan, refused);
  outcome.writes += create(subject, plan, refused);
  if (deleting && refused.passing && namespace_ends(*refused.passing)) {
    observed.namespace_ends = true;
    refused.passing.reset();
    plan = rollout::make_plan(observed, settings_, now_());
  }
  if (!refused.obstacles.empty()) {
    observed.obstacles = std::move(refused.obstacles);
    plan = rollout::make_plan(observed, settings_, now_());
    outcome.look_again =
        std::min<std::chrono::milliseconds>(outcome.look_again.value_or(kObstacleDelay), kObstacleDelay);
  }
  outcome.writes += write_status(subject, plan);
  outcome.writes += remove(subject, plan);
  if (deleting) outcome.writes += write_finalizers(subject, plan);
  if (refused.passing) throw kube::ApiException(*refused.passing);
  outcome.learned = subject.learned;
  return outcome;
}

int Reconciler::write_finalizers(Subject& subject, const rollout::Plan& plan) const {
  if (!plan.finalizers) return 0;
  // With the resourceVersion, so that a finalizer which another controller adds at this moment is not lost.
  const json patch = {{"metadata", {{"finalizers", *plan.finalizers}, {"resourceVersion", subject.version}}}};
  auto done = client_.patch_merge(kQuantizedModels, subject.key, patch);
  if (!done && !done.error().not_found()) throw kube::ApiException(done.error());
  if (done) wrote(subject, std::move(done).value());
  return 1;
}

int Reconciler::apply(Subject& subject, const rollout::Plan& plan, Refused& refused) const {
  int writes = 0;
  for (const json& object : plan.apply) {
    const WatchedKind& kind = watched_kind(kind_of(object));
    const kube::ObjectKey key = kube::key_of(object);
    kube::ObjectPtr found = subject.child(kind.kind, key);
    if (!found) found = cache_.get(kind.kind, key);
    if (found && !must_apply(object, *found)) continue;
    std::optional<kube::ApiError> refusal;
    if (!found) {
      // An API server makes an object in a fraction of the time that an apply of it takes.
      auto made = client_.create(kind.gvr, object, kFieldManager);
      if (!made) refusal = made.error();
      if (!made && made.error().already_exists()) found = live(kind, key);
      if (made) learn(subject, kind.kind, std::move(made).value());
    }
    if (found && !subject.owns(kind.kind, *found)) {
      refused.name_taken(kind, *found);
      continue;
    }
    // One that the cache will tell of was made by a newer plan than this; one without labels it never tells
    // of.
    if (found && !(refusal && is_labelled(*found))) refusal = apply_again(subject, kind, object);
    if (refusal) {
      refused.add(object, *refusal);
      continue;
    }
    log::info("applied",
              {{"model", subject.key.text()}, {"kind", kind.kind}, {"name", kube::key_of(object).name}});
    ++writes;
  }
  return writes;
}

/// What people edited is put back; what another program applies is told, not fought over.
std::optional<kube::ApiError> Reconciler::apply_again(Subject& subject, const WatchedKind& kind,
                                                      const json& object) const {
  if (auto refusal = own_as_applied(kind, kube::key_of(object))) return refusal;
  auto applied = client_.apply(kind.gvr, object, {.field_manager = kFieldManager, .force = false});
  if (!applied && applied.error().conflict() && !applied_by_another(applied.error())) {
    applied = client_.apply(kind.gvr, object, kForced);
  }
  if (!applied) return applied.error();
  learn(subject, kind.kind, std::move(applied).value());
  return std::nullopt;
}

std::optional<kube::ApiError> Reconciler::own_as_applied(const WatchedKind& kind,
                                                         const kube::ObjectKey& key) const {
  const kube::ObjectPtr found = live(kind, key);
  if (!found) return std::nullopt;  // the apply makes it
  auto owned = owned_by_apply(kube::value_at(*found, "/metadata/managedFields"), kFieldManager);
  if (!owned) return std::nullopt;
  const auto done = client_.patch_merge(
      kind.gvr, key,
      {{"metadata",
        {{"managedFields", std::move(*owned)}, {"resourceVersion", kube::resource_version_of(*found)}}}});
  if (done || done.error().not_found()) return std::nullopt;
  return done.error();
}

kube::ObjectPtr Reconciler::live(const WatchedKind& kind, const kube::ObjectKey& key) const {
  // By a list: the right to list is there for the cache, one to get would be for this alone.
  const auto found = client_.list_all(
      kind.gvr, {.ns = key.ns, .field_selector = "metadata.name=" + key.name, .managed_fields = true});
  for (const json& object : found.value()) {
    if (kube::key_of(object) == key) return std::make_shared<const json>(object);
  }
  return nullptr;
}

/// In order: a Job is of no use without the claim before it.
int Reconciler::create(Subject& subject, const rollout::Plan& plan, Refused& refused) const {
  int writes = 0;
  for (const json& object : plan.create) {
    const WatchedKind& kind = watched_kind(kind_of(object));
    auto made = client_.create(kind.gvr, object);
    if (!made && made.error().already_exists()) {  // or the cache does not know it yet
      const kube::ObjectPtr found = live(kind, kube::key_of(object));
      if (!found || subject.owns(kind.kind, *found) || same_revision(object, *found)) continue;
      refused.name_taken(kind, *found);
      if (kind.kind == kClaim) return writes;
      continue;
    }
    if (!made) {
      refused.add(object, made.error());
      if (kind.kind == kClaim) return writes;
      continue;
    }
    learn(subject, kind.kind, std::move(made).value());
    log::info("created",
              {{"model", subject.key.text()}, {"kind", kind.kind}, {"name", kube::key_of(object).name}});
    ++writes;
  }
  return writes;
}

int Reconciler::write_status(Subject& subject, const rollout::Plan& plan) const {
  const json& observed = kube::value_at(*subject.object, "/status");
  json status = own_status(api::print(plan.status));
  if (observed.is_object() && status == own_status(observed)) return 0;
  // With the resourceVersion: a decision made on a stale view, by a second leader too, is refused as a
  // conflict.
  const json object = {
      {"apiVersion", api::kApiVersion},
      {"kind", "QuantizedModel"},
      {"metadata",
       {{"name", subject.key.name}, {"namespace", subject.key.ns}, {"resourceVersion", subject.version}}},
      {"status", std::move(status)}};
  wrote(subject, client_.apply_status(kQuantizedModels, object, kForced).value());
  tell(subject, plan);
  return 1;
}

/// The write stood on the version before it: nobody else's came between.
void Reconciler::wrote(Subject& subject, json model) const {
  subject.version = kube::resource_version_of(model);
  if (!kube::is_being_deleted(model)) learn(subject, "QuantizedModel", std::move(model));
}

void Reconciler::learn(Subject& subject, std::string_view kind, json object) const {
  subject.learned = cache_.learn(kind, std::move(object)) || subject.learned;
}

void Reconciler::tell(const Subject& subject, const rollout::Plan& plan) const {
  for (const rollout::Event& event : plan.events) {
    log::info(event.note, {{"model", subject.key.text()}, {"reason", event.reason}});
    if (event.warning) {
      events_.warning(*subject.object, event.action, event.reason, event.note);
    } else {
      events_.normal(*subject.object, event.action, event.reason, event.note);
    }
  }
}

/// A live read, which no lagging watch cache answers: what a stale view thinks superfluous may be what serves
/// now.
bool Reconciler::view_is_current(const Subject& subject, const rollout::Plan& plan) const {
  const auto live = client_.get(kQuantizedModels, subject.key);
  if (!live && live.error().not_found()) return false;
  const json& object = live.value();
  const std::int64_t epoch = plan.status.rollout ? plan.status.rollout->epoch : 0;
  return kube::uid_of(object) == kube::uid_of(*subject.object) &&
         kube::integer_at(object, "/metadata/generation", 0) ==
             kube::integer_at(*subject.object, "/metadata/generation", 0) &&
         kube::integer_at(object, "/status/rollout/epoch", 0) == epoch;
}

int Reconciler::remove(const Subject& subject, const rollout::Plan& plan) const {
  if (plan.remove.empty() || !view_is_current(subject, plan)) return 0;
  int writes = 0;
  for (const rollout::Child& child : plan.remove) {
    const auto removed = client_.remove(watched_kind(child.kind).gvr, {subject.key.ns, child.name},
                                        {.propagation = kube::Propagation::kBackground, .uid = child.uid});
    if (!removed && !removed.error().not_found() && !removed.error().conflict()) {
      throw kube::ApiException(removed.error());
    }
    log::info("removed", {{"model", subject.key.text()}, {"kind", child.kind}, {"name", child.name}});
    ++writes;
  }
  return writes;
}

}  // namespace stepdown::controller
