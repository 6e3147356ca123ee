#include "operator/rollout/ladder.h"

#include <algorithm>
#include <charconv>

#include "operator/compat/hardware.h"
#include "operator/compat/matrix.h"
#include "operator/compat/methods.h"

namespace stepdown::rollout {
namespace {

constexpr std::int64_t kUsualBits = 4;

api::CandidateSpec step(const char* method, std::optional<std::int64_t> bits = {}) {
  return {.method = method, .preset = {}, .bits = bits, .group_size = {}};
}

/// All steps in their order, whether they can be taken or not.
std::vector<api::CandidateSpec> steps(const std::vector<api::CandidateSpec>& tried,
                                      const std::vector<api::CandidateStatus>& rows) {
  std::vector<api::CandidateSpec> out;
  for (std::size_t i = 0; i < tried.size() && i < rows.size(); ++i) {
    const compat::Method* method = compat::find_method(tried[i]);
    if (method == nullptr || !tried[i].preset.empty() || rows[i].metrics.empty()) continue;
    if (method->bits < kUsualBits && method->format != "ternary")
      out.push_back(step("autoround", method->bits));
  }
  out.push_back(step("awq", kUsualBits));
  out.push_back(step("gptq", kUsualBits));
  out.push_back(step("autoround", kUsualBits));
  out.push_back(step("int8"));
  out.push_back(step("qat", kUsualBits));
  return out;
}

/// Why the step cannot be taken; empty when it can.
std::string obstacle(const api::CandidateSpec& next, const api::QuantizedModelSpec& spec,
                     const api::ModelFacts& base, const compat::EngineSupport& engine) {
  const compat::Method* method = compat::find_method(next);
  if (method == nullptr || !method->available) return "is not made by this version";
  if (next.method == "qat" && !spec.quantization.qat.enabled) return "needs spec.quantization.qat.enabled";
  if (!base.architecture.empty() && !compat::quantizes(*method, base.architecture))
    return "is not made of architecture " + base.architecture;
  if (base.format != "safetensors") return "starts from a Hugging Face folder";
  if (method->calibrated && !spec.quantization.calibration) return "needs spec.quantization.calibration";
  if (!engine.known()) return "";
  const auto& hardware = spec.serving.hardware;
  const std::string node =
      hardware ? compat::hardware_of(hardware->node_selector, hardware->accelerator) : "";
  const compat::Verdict verdict =
      engine.loads({method->format, spec.kv_cache.type, node, base.architecture}).verdict;
  const bool loads = verdict == compat::Verdict::kWorks || verdict == compat::Verdict::kDegraded;
  return loads ? "" : "is not loaded by engine " + spec.serving.engine;
}

}  // namespace

LadderStep next_step(const api::QuantizedModelSpec& spec, const api::ModelFacts& base,
                     const std::optional<api::EngineProfile>& profile,
                     const std::vector<api::CandidateSpec>& tried,
                     const std::vector<api::CandidateStatus>& rows) {
  if (!spec.quantization.ladder) return {{}, "spec.quantization.ladder is false"};
  if (std::ranges::all_of(rows, [](const auto& row) { return row.metrics.empty(); })) {
    return {{}, "no candidate came to be measured"};
  }
  const compat::EngineSupport engine(spec.serving.engine, profile);
  std::string end;
  for (const api::CandidateSpec& next : steps(tried, rows)) {
    const compat::Method* method = compat::find_method(next);
    const bool before = std::ranges::any_of(tried, [&](const auto& each) {
      return each.method == next.method && compat::find_method(each) == method;
    });
    if (before) continue;
    const std::string why = obstacle(next, spec, base, engine);
    if (why.empty()) return {next, ""};
    end += (end.empty() ? "" : "; ") + next.name() + " " + why;
  }
  return {{}, end.empty() ? "every step was tried" : end};
}

api::CandidateSpec step_named(const std::string& name) {
  const std::size_t slash = name.find('/');
  api::CandidateSpec named = step(name.substr(0, slash).c_str());
  std::int64_t bits = 0;
  if (slash != std::string::npos &&
      std::from_chars(name.data() + slash + 1, name.data() + name.size(), bits).ec == std::errc()) {
    named.bits = bits;
  }
  return named;
}

}  // namespace stepdown::rollout
