#include "operator/compat/recommend/recommend.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "engine/fetch/source.h"
#include "operator/compat/fallback.h"
#include "operator/compat/memory_fit.h"
#include "operator/compat/methods.h"
#include "operator/compat/rules.h"

namespace stepdown::compat {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kMostCandidates = 3;  // each costs a quantization and an evaluation
constexpr std::int64_t kGibi = std::int64_t{1} << 30;

constexpr std::int64_t kMostOnCpus = 8;  // sequences of FP16 that CPUs may carry until a promotion

/// Warnings that a recommendation keeps clear of: runs but not as one thinks, undocumented, mixed pools, an
/// architecture by another program's code.
constexpr std::array<std::string_view, 4> kAvoided = {"SD019", "SD040", "SD047", "SD049"};

/// What is tried next.
struct Plan {
  std::string_view engine;
  std::string source;
  api::ModelFacts model;
  std::vector<std::string_view> candidates;
  std::string_view cache = "fp16";
  std::int64_t accelerators = 1;
  std::int64_t memory = 0;  ///< of a replica; 0: not stated
  bool merged = false;      ///< the adapters are in the source
  bool fp16_on_cpus = false;
};

api::CandidateSpec candidate_of(std::string_view name) {
  const auto slash = name.find('/');
  api::CandidateSpec out{.method = std::string(name.substr(0, slash))};
  if (slash == std::string_view::npos) return out;
  const std::string_view setting = name.substr(slash + 1);
  if (setting.size() == 1)
    out.bits = setting.front() - '0';
  else
    out.preset = setting;
  return out;
}

std::string quantity(std::int64_t bytes) {
  return bytes % kGibi == 0 ? std::to_string(bytes / kGibi) + "Gi" : std::to_string(bytes >> 20) + "Mi";
}

ordered_json model_json(const Wish& wish, const Purpose& purpose, const Plan& plan) {
  ordered_json model = {{"source", plan.source}};
  if (purpose.pinned && !plan.model.digest.empty()) model["revision"] = plan.model.digest;
  if (plan.merged) return model;
  for (const api::Adapter& each : wish.adapters) {
    ordered_json adapter = {{"source", each.source}};
    if (each.weight != 1) adapter["weight"] = each.weight;
    model["adapters"].push_back(std::move(adapter));
  }
  return model;
}

ordered_json quantization_json(const Wish& wish, const Plan& plan) {
  ordered_json out = {{"candidates", ordered_json::array()}};
  bool calibrated = false;
  for (const std::string_view name : plan.candidates) {
    const api::CandidateSpec candidate = candidate_of(name);
    ordered_json each = {{"method", candidate.method}};
    if (!candidate.preset.empty()) each["preset"] = candidate.preset;
    if (candidate.bits) each["bits"] = *candidate.bits;
    out["candidates"].push_back(std::move(each));
    const Method* method = find_method(candidate);
    calibrated = calibrated || (method != nullptr && method->calibrated);
  }
  if (calibrated) out["calibration"] = {{"source", wish.calibration}};
  return out;
}

ordered_json serving_json(const Wish& wish, const Plan& plan) {
  ordered_json hardware = ordered_json::object();
  if (!wish.device.resource.empty()) hardware["accelerator"] = wish.device.resource;
  if (plan.accelerators > 1) hardware["count"] = plan.accelerators;
  if (plan.memory > 0) hardware["memory"] = quantity(plan.memory);
  if (!wish.device.label.empty())
    hardware["nodeSelector"] = {{std::string(wish.device.label), wish.device.value}};
  return {{"engine", plan.engine},
          {"contextLength", wish.context},
          {"concurrency", wish.concurrency},
          {"hardware", std::move(hardware)}};
}

ordered_json evaluation_json(const Wish& wish, const Purpose& purpose) {
  ordered_json suites = ordered_json::parse(purpose.suites);
  for (ordered_json& suite : suites) {
    if (suite.contains("schema") && !wish.schema.empty()) suite["schema"] = ordered_json::parse(wish.schema);
  }
  ordered_json out = {{"dataset", wish.dataset}};
  if (!suites.empty()) out["suites"] = std::move(suites);
  out["slo"] = ordered_json::parse(purpose.slo);
  return out;
}

/// Room for what is fetched: the model, half of it for each candidate, and half of it to spare.
ordered_json storage_json(const Plan& plan) {
  const std::int64_t halves = 3 + static_cast<std::int64_t>(plan.candidates.size());
  return {{"size", std::to_string(plan.model.size / 2 * halves / kGibi + 1) + "Gi"}};
}

bool fetches(const Wish& wish, const Plan& plan) {
  const auto remote = [](const api::Adapter& each) { return fetch::is_remote(each.source); };
  return fetch::is_remote(plan.source) || fetch::is_remote(wish.dataset) ||
         fetch::is_remote(wish.calibration) || std::ranges::any_of(wish.adapters, remote);
}

ordered_json manifest_of(const Wish& wish, const Purpose& purpose, const Plan& plan) {
  ordered_json spec = {{"model", model_json(wish, purpose, plan)},
                       {"quantization", quantization_json(wish, plan)}};
  if (fetches(wish, plan)) spec["storage"] = storage_json(plan);
  if (plan.cache != "fp16") {
    spec["kvCache"] = {{"type", plan.cache}, {"maxAttentionError", plan.cache == "fp8" ? 0.06 : 0.02}};
  }
  spec["serving"] = serving_json(wish, plan);
  spec["evaluation"] = evaluation_json(wish, purpose);
  ordered_json rollout = ordered_json::parse(purpose.rollout);
  if (plan.fp16_on_cpus) rollout["fallback"] = {{"placement", "cpu"}};
  if (!rollout.empty()) spec["rollout"] = std::move(rollout);
  return {{"apiVersion", api::kApiVersion},
          {"kind", "QuantizedModel"},
          {"metadata", {{"name", wish.name}}},
          {"spec", std::move(spec)}};
}

class Search {
 public:
  Search(const Wish& wish, const Purpose& purpose, const Cluster& cluster)
      : wish_(wish), purpose_(purpose), cluster_(cluster) {}

  Recommendation run() {
    const Platform& platform = row_of_hardware();
    out_.platform = platform.name;
    out_.purpose = purpose_.name;
    say(std::string(platform.name) + ": " + std::string(platform.why));
    say(std::string(purpose_.name) + ": " + std::string(purpose_.why));
    if (!wish_.adapters.empty()) say(std::string(kAdaptersName) + ": " + std::string(kAdaptersWhy));
    for (const Stack& stack : platform.stacks) {
      if (try_stack(stack)) break;
    }
    if (out_.manifest.text.empty()) say("nothing fits" + (obstacle_.empty() ? "" : ": " + obstacle_));
    return std::move(out_);
  }

 private:
  void say(const std::string& reason) {
    if (std::ranges::find(out_.reasons, reason) == out_.reasons.end()) out_.reasons.push_back(reason);
  }

  const Platform& row_of_hardware() const {
    return *std::ranges::find_if(platforms(), [&](const Platform& row) {
      return wish_.concurrency >= row.crowd && std::ranges::any_of(row.hardware, [&](std::string_view each) {
               return is_within(wish_.device.hardware, each);
             });
    });
  }

  Inventory inventory(const Plan& plan) const {
    Inventory out{.model = plan.model, .nodes = cluster_.nodes};
    const auto profile = cluster_.profiles.find(std::string(plan.engine));
    if (profile != cluster_.profiles.end()) out.profile = profile->second;
    return out;
  }

  api::QuantizedModelSpec spec(const Plan& plan) const {
    return api::parse_quantized_model(nlohmann::json(manifest_of(wish_, purpose_, plan)),
                                      api::UnknownFields::kRefuse)
        .spec;
  }

  std::vector<Finding> findings(const Plan& plan) const { return judge(spec(plan), inventory(plan)); }

  static const Finding* objection(const std::vector<Finding>& findings) {
    const auto found = std::ranges::find_if(findings, [](const Finding& each) {
      return each.severity == Severity::kError || std::ranges::find(kAvoided, each.id) != kAvoided.end();
    });
    return found == findings.end() ? nullptr : &*found;
  }

  bool try_stack(const Stack& stack) {
    Plan plan{.engine = stack.engine, .source = wish_.source, .model = wish_.model};
    prepared_.clear();
    merge_where_needed(plan);
    take_as_gguf_where_needed(plan);
    for (const std::string_view name : stack.candidates) {
      if (plan.candidates.size() == kMostCandidates) break;
      if (wanted(plan, name)) plan.candidates.push_back(name);
    }
    if (plan.candidates.empty()) return false;
    return fit(plan, stack.caches);
  }

  /// The bundled engine merges by itself; others serve FP16 as it lies.
  void merge_where_needed(Plan& plan) {
    if (wish_.adapters.empty() || plan.engine == "stepdown" || plan.model.format == "gguf") return;
    plan.merged = true;
    plan.source += "-merged";
    prepared_ = std::string(plan.engine) +
                " serves FP16 as it lies: merge the adapters into it first, in "
                "FP32 (PEFT's merge_and_unload), as " +
                plan.source;
  }

  /// An engine that reads GGUF alone serves FP16 from a GGUF file as well.
  void take_as_gguf_where_needed(Plan& plan) {
    const Inventory known = inventory(plan);
    const EngineSupport engine(plan.engine, known.profile);
    const auto formats = engine.formats();
    const auto loads = [&](const std::string& format) {
      return std::ranges::find(formats, format) != formats.end();
    };
    if (plan.model.format != "safetensors" || loads("safetensors") || !loads("gguf")) return;
    plan.model.format = "gguf";
    plan.source += ".gguf";
    prepared_ = std::string(plan.engine) + " reads GGUF alone: make " + plan.source +
                " once with stepdown-engine convert" + (plan.merged ? " --adapter" : "");
  }

  void stands_against(const Finding& found) {
    if (obstacle_.empty()) obstacle_ = found.message + "; " + found.mend + " (" + found.id + ")";
  }

  /// Enough bits for the task, and nothing against it whatever the memory.
  bool wanted(Plan plan, std::string_view name) {
    const Method* method = find_method(candidate_of(name));
    if (method == nullptr || method->bits < purpose_.least_bits) return false;
    plan.candidates = {name};
    std::vector<Finding> found = findings(plan);
    std::erase_if(found, [](const Finding& each) { return each.id == "SD005"; });
    const Finding* against = objection(found);
    if (against == nullptr) return true;
    stands_against(*against);
    say("left out: " + std::string(plan.engine) + " with " + std::string(name) + ": " + against->message +
        " (" + against->id + ")");
    return false;
  }

  /// FP16 beside the candidates on accelerators; where no number of them holds it, on CPUs.
  bool fit(Plan plan, std::span<const std::string_view> caches) {
    if (fit_accelerators(plan, caches)) return true;
    plan.fp16_on_cpus = true;
    return !wish_.device.resource.empty() && fit_accelerators(plan, caches);
  }

  bool fit_accelerators(Plan plan, std::span<const std::string_view> caches) {
    const std::vector<std::string_view> all = plan.candidates;
    constexpr std::array<std::int64_t, 4> kCounts = {1, 2, 4, 8};
    const bool accelerated = !wish_.device.resource.empty();
    for (const std::int64_t count : std::span(kCounts).first(accelerated ? kCounts.size() : 1)) {
      for (const std::string_view cache : caches) {
        plan.accelerators = count;
        plan.cache = cache;
        plan.candidates = all;
        state_memory(plan);
        if (!keep_what_fits(plan)) continue;
        finish(plan, cache != caches.front());
        return true;
      }
    }
    return false;
  }

  void state_memory(Plan& plan) const {
    const std::int64_t one = wish_.memory > 0 ? wish_.memory : wish_.device.gibibytes * kGibi;
    plan.memory = one * plan.accelerators;
    if (plan.memory > 0) return;
    const std::int64_t needed = fp16(plan).at(wish_.concurrency);
    plan.memory = std::min(needed, INT64_MAX - kGibi) / kGibi * kGibi + kGibi;
  }

  Footprint fp16(const Plan& plan) const {
    return footprint(spec(plan), plan.model, plan.model.size, "fp16", inventory(plan).profile);
  }

  Footprint candidate(const Plan& plan, std::string_view name) const {
    return footprint(spec(plan), plan.model, predicted_size(candidate_of(name), plan.model).value_or(0),
                     plan.cache, inventory(plan).profile);
  }

  /// Strikes candidates that are too large at the asked load; false when FP16 or all of them are.
  bool keep_what_fits(Plan& plan) {
    const auto found = findings(plan);
    if (const Finding* against = objection(found)) {
      stands_against(*against);
      return false;
    }
    std::vector<std::string_view> fitting;
    for (std::size_t i = 0; i < plan.candidates.size(); ++i) {
      const auto tight = std::ranges::find_if(found, [&](const Finding& each) {
        return each.id == "SD005" && each.path == element("spec.quantization.candidates", i);
      });
      if (tight == found.end())
        fitting.push_back(plan.candidates[i]);
      else
        stands_against(*tight);
    }
    plan.candidates = std::move(fitting);
    return !plan.candidates.empty();
  }

  void finish(const Plan& plan, bool other_cache) {
    if (!prepared_.empty()) say(prepared_);
    say(predicted(plan));
    if (other_cache) {
      say("the KV cache is " + std::string(plan.cache) +
          ": at fp16 this load does not fit; the attention check holds it against FP16");
    }
    if (plan.accelerators > 1) {
      say(std::to_string(plan.accelerators) + " x " + std::string(wish_.device.name) +
          ": fewer do not hold FP16, which carries the traffic until a candidate is promoted");
    }
    say(both(plan));
    if (const std::string fewer = fewer_accelerators(plan); !fewer.empty()) say(fewer);
    if (purpose_.pinned && plan.model.digest.empty()) {
      say("pin the base: spec.model.revision is not set, since these files have no digest; take "
          "status.model.digest once it was inspected");
    }
    say("put held-out prompts at " + wish_.dataset +
        (quantization_json(wish_, plan).contains("calibration")
             ? " and other prompts of the same kind, redacted, at " + wish_.calibration
             : ""));
    out_.manifest.text = manifest_of(wish_, purpose_, plan).dump();
    out_.facts = plan.model;
    out_.findings = findings(plan);
  }

  /// FP16 is no fallback unless it runs: what the cluster must have until the promotion.
  std::string both(const Plan& plan) const {
    const std::string reason =
        "until a candidate is promoted it runs beside FP16, which carries the traffic: have ";
    if (plan.fp16_on_cpus) {
      return reason + accelerators(plan.accelerators) + " for the candidate, and " + on_cpus(plan) +
             " on CPUs for FP16, which answers slowly there";
    }
    if (!wish_.device.resource.empty()) return reason + accelerators(2 * plan.accelerators) + " in all";
    std::int64_t largest = 0;
    for (const std::string_view name : plan.candidates) {
      largest = std::max(largest, candidate(plan, name).at(wish_.concurrency));
    }
    const std::int64_t base =
        fp16(plan).at(sequences_that_fit(spec(plan), fp16(plan), inventory(plan).profile));
    return reason + readable_bytes(std::min(base, INT64_MAX - largest) + largest) + " in all";
  }

  std::string accelerators(std::int64_t count) const {
    return std::to_string(count) + " x " + std::string(wish_.device.name);
  }

  /// Memory of FP16 where the bundled engine serves it on CPUs.
  std::string on_cpus(const Plan& plan) const {
    const Footprint there = footprint(fp16_spec(spec(plan)), plan.model, plan.model.size, "fp16");
    return readable_bytes(there.at(wish_.concurrency));
  }

  /// Whoever has accelerators for the candidate alone keeps FP16 on CPUs; empty where it cannot run there.
  std::string fewer_accelerators(Plan plan) const {
    if (plan.fp16_on_cpus || wish_.device.resource.empty() || wish_.concurrency > kMostOnCpus) return "";
    plan.fp16_on_cpus = true;
    while (plan.accelerators > 1 && !fitting(plan, plan.accelerators / 2).empty()) plan.accelerators /= 2;
    plan.candidates = fitting(plan, plan.accelerators);
    state_memory(plan);
    const auto found = findings(plan);
    if (objection(found) != nullptr) return "";
    std::string names;
    for (const std::string_view each : plan.candidates)
      names += (names.empty() ? "" : ", ") + std::string(each);
    return "with fewer, set rollout.fallback.placement to cpu: " + accelerators(plan.accelerators) +
           " for the candidate (" + names + "), and FP16 on CPUs in " + on_cpus(plan) +
           ", where it answers slowly";
  }

  std::vector<std::string_view> fitting(Plan plan, std::int64_t count) const {
    plan.accelerators = count;
    state_memory(plan);
    const auto with = spec(plan);
    const auto profile = inventory(plan).profile;
    std::vector<std::string_view> out;
    std::ranges::copy_if(plan.candidates, std::back_inserter(out), [&](std::string_view name) {
      return sequences_that_fit(with, candidate(plan, name), profile) >= wish_.concurrency;
    });
    return out;
  }

  std::string predicted(const Plan& plan) const {
    const auto with = spec(plan);
    const auto profile = inventory(plan).profile;
    const std::int64_t usable = usable_memory(with.serving, profile).value_or(0);
    std::string out = "predicted for " + std::to_string(wish_.concurrency) + " sequences of " +
                      std::to_string(wish_.context) + " tokens: ";
    for (const std::string_view name : plan.candidates) {
      out += std::string(name) + " " + readable_bytes(candidate(plan, name).at(wish_.concurrency)) + ", ";
    }
    const std::int64_t sequences = sequences_that_fit(with, fp16(plan), profile);
    out += "FP16 " + readable_bytes(fp16(plan).at(wish_.concurrency));
    if (sequences < wish_.concurrency) out += " (so FP16 runs " + std::to_string(sequences) + " at once)";
    return out + ", of " + readable_bytes(usable);
  }

  const Wish& wish_;
  const Purpose& purpose_;
  const Cluster& cluster_;
  Recommendation out_;
  std::string prepared_;  ///< what is to be done to the source, of the stack tried now
  std::string obstacle_;  ///< of what was tried first, which is what the table prefers
};

}  // namespace

Recommendation recommend(const Wish& wish, const Purpose& purpose, const Cluster& cluster) {
  return Search(wish, purpose, cluster).run();
}

}  // namespace stepdown::compat
