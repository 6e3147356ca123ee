#include "operator/compat/methods.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <vector>

#include "operator/compat/rule.h"
#include "operator/compat/suites.h"

// What may be tried to make the model smaller.
namespace stepdown::compat {
namespace {

template <class Look>
void each_candidate(const Subject& subject, Look look) {
  if (!subject.spec.quantization.from_revision.empty()) return;
  const auto& candidates = subject.spec.quantization.candidates;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    look(candidates[i], find_method(candidates[i]), element("spec.quantization.candidates", i));
  }
}

std::string available_methods() {
  std::string out;
  for (const Method& each : methods()) {
    if (!each.available) continue;
    const std::string name =
        std::string(each.method) + (each.preset.empty() ? "" : "/" + std::string(each.preset));
    if (out.find(name + ",") == std::string::npos) out += name + ", ";
  }
  return out.substr(0, out.size() - 2);
}

void unknown_method(const Subject& subject, Report& report) {
  each_candidate(
      subject, [&](const api::CandidateSpec& candidate, const Method* method, const std::string& path) {
        if (method == nullptr)
          report.add(path, "unknown method " + candidate.name(), "use one of " + available_methods());
        else if (method->format == "ternary")
          return;  // SD039 says more
        else if (!method->available) {
          report.add(
              path, "this version does not make " + candidate.name(),
              "use one of " + available_methods() + ", or promote a QuantRevision that was made elsewhere");
        }
      });
}

bool structured(const Subject& subject) {
  return has_suite(subject.spec.evaluation, "jsonSchema");
}

void low_bits_with_structure(const Subject& subject, Report& report) {
  if (!structured(subject)) return;
  each_candidate(
      subject, [&](const api::CandidateSpec& candidate, const Method* method, const std::string& path) {
        if (method == nullptr || method->bits >= 4) return;
        report.add(path, candidate.name() + " has under 4 bits a weight and answers must match a schema");
      });
}

void smallest_chased(const Subject& subject, Report& report) {
  std::size_t low = 0, all = 0;
  each_candidate(subject, [&](const api::CandidateSpec&, const Method* method, const std::string&) {
    ++all;
    low += method != nullptr && method->bits < 4 && method->format != "ternary" ? 1 : 0;
  });
  if (all == 0 || low < all) return;
  report.add("spec.quantization.candidates", "every candidate has under 4 bits a weight");
}

void uncalibrated(const Subject& subject, Report& report) {
  if (subject.spec.quantization.calibration) return;
  each_candidate(
      subject, [&](const api::CandidateSpec& candidate, const Method* method, const std::string& path) {
        if (method == nullptr || !method->calibrated) return;
        report.add(
            path, candidate.name() + " learns its scales from activations, and there is no calibration text");
      });
}

void ternary(const Subject& subject, Report& report) {
  each_candidate(
      subject, [&](const api::CandidateSpec& candidate, const Method* method, const std::string& path) {
        if (method == nullptr || method->format != "ternary" || subject.architecture() == "bitnet") return;
        report.add(path, candidate.name() + " keeps -1, 0 and 1: only models trained that way survive it");
      });
}

void unknown_to_the_quantizer(const Subject& subject, Report& report) {
  const std::string architecture(subject.architecture());
  if (architecture.empty()) return;
  each_candidate(
      subject, [&](const api::CandidateSpec& candidate, const Method* method, const std::string& path) {
        if (method == nullptr || !method->available || quantizes(*method, architecture)) return;
        std::string names;
        for (const std::string_view each : quantized_architectures(*method))
          names += (names.empty() ? "" : ", ") + std::string(each);
        report.add(path, candidate.name() + " is made of " + names + ", and the model is " + architecture);
      });
}

struct Bits {
  std::string_view method;
  std::array<std::int64_t, 4> allowed;  ///< 0: none
};
// AutoAWQ and vLLM's AWQ kernels know 4 bits alone; GPTQ's know these four.
constexpr Bits kBits[] = {{"awq", {4}},
                          {"gptq", {2, 3, 4, 8}},
                          {"gptq-v2", {2, 3, 4, 8}},
                          {"autoround", {2, 3, 4, 8}},
                          {"qat", {2, 3, 4, 8}}};

void impossible_shape(const Subject& subject, Report& report) {
  each_candidate(subject, [&](const api::CandidateSpec& candidate, const Method*, const std::string& path) {
    const auto* row = std::ranges::find(kBits, candidate.method, &Bits::method);
    if (row == std::end(kBits)) return;
    if (candidate.bits && std::ranges::find(row->allowed, *candidate.bits) == row->allowed.end()) {
      report.add(
          path + ".bits",
          candidate.method + " has no " + std::to_string(*candidate.bits) + "-bit form that engines load",
          candidate.method == "awq" ? "use 4 bits" : "use 2, 3, 4 or 8 bits");
    }
    const std::int64_t group = candidate.group_size.value_or(128);
    const bool power = group > 0 && (group & (group - 1)) == 0;
    if (!power || group < 16 || group > 1024) {
      report.add(path + ".groupSize",
                 "kernels load groups of 32, 64 or 128 weights, not " + std::to_string(group), "use 128");
    }
  });
}

void unasked_training(const Subject& subject, Report& report) {
  if (subject.spec.quantization.qat.enabled) return;
  each_candidate(subject, [&](const api::CandidateSpec& candidate, const Method*, const std::string& path) {
    if (candidate.method == "qat") report.add(path, "training takes hours, and nothing allows it");
  });
}

void one_preset(const Subject& subject, Report& report) {
  if (subject.spec.quantization.from_revision.empty() && subject.spec.quantization.candidates.size() == 1) {
    report.add("spec.quantization.candidates", "one candidate leaves nothing to compare but FP16");
  }
}

/// The words of a place, in lower case: "pvc://logs/Prod-2026.jsonl" is pvc, logs, prod, 2026, jsonl.
std::vector<std::string> words_of(const std::string& place) {
  std::vector<std::string> words(1);
  for (const char each : place) {
    const auto letter = static_cast<unsigned char>(each);
    if (std::isalnum(letter) != 0)
      words.back() += static_cast<char>(std::tolower(letter));
    else if (!words.back().empty())
      words.emplace_back();
  }
  return words;
}

/// A word of the place is one of these, or begins with it where that ends in "*".
bool names_any(const std::string& place, std::initializer_list<std::string_view> names) {
  return std::ranges::any_of(words_of(place), [&](const std::string& word) {
    return std::ranges::any_of(names, [&](std::string_view name) {
      return name.ends_with('*') ? word.starts_with(name.substr(0, name.size() - 1)) : word == name;
    });
  });
}

void unlike_production(const Subject& subject, Report& report) {
  const auto& calibration = subject.spec.quantization.calibration;
  if (!calibration || subject.spec.evaluation.dataset == calibration->source) return;
  if (!names_any(calibration->source,
                 {"wiki*", "c4", "pile", "ultrachat*", "ptb", "redpajama*", "openwebtext*"}))
    return;
  report.add(
      "spec.quantization.calibration.source",
      "by its name this is general text" +
          std::string(structured(subject) ? ", and the answers that are measured must match a schema" : ""));
}

void calibrated_on_the_exam(const Subject& subject, Report& report) {
  const auto& calibration = subject.spec.quantization.calibration;
  if (!calibration || calibration->source.empty() || calibration->source != subject.spec.evaluation.dataset)
    return;
  report.add("spec.quantization.calibration.source", "calibration and evaluation use the same prompts");
}

void unredacted(const Subject& subject, Report& report) {
  const auto& calibration = subject.spec.quantization.calibration;
  if (!calibration || !calibration->redact.empty()) return;
  if (!names_any(calibration->source, {"prod", "production", "log", "logs", "chat", "chats", "customer",
                                       "customers", "ticket", "tickets", "traffic"}))
    return;
  if (names_any(calibration->source, {"redact*", "anonym*", "scrub*", "clean*"})) return;
  report.add("spec.quantization.calibration.source",
             "by its name this comes from real users, and nothing says that it is redacted");
}

void few_samples(const Subject& subject, Report& report) {
  const auto& calibration = subject.spec.quantization.calibration;
  if (!calibration || calibration->samples >= 64) return;
  report.add("spec.quantization.calibration.samples",
             std::to_string(calibration->samples) + " prompts are too few to see rare activations");
}

constexpr Rule kRules[] = {
    {"SD002", Severity::kError, "A method that nothing here can make",
     "A candidate names a method, and a preset or bits, that the quantizer of this version has.",
     "quantization: {candidates: [{method: gguf, preset: Q9}]}", "use a method of this version",
     unknown_method},
    {"SD007", Severity::kWarning, "Three bits or fewer with structured output",
     "Schemas, field names and numbers are the first thing that low bit widths break; prose hides it.",
     "quantization: {candidates: [{method: gguf, preset: Q3_K_S}]}\nevaluation: {suites: [{type: "
     "jsonSchema}]}",
     "keep a candidate of 4 bits or more beside it", low_bits_with_structure},
    {"SD021", Severity::kWarning, "Calibration text unlike production",
     "AWQ, GPTQ and importance matrices protect what the calibration text activates. Encyclopedia text "
     "protects "
     "nothing of a model that answers in JSON.",
     "quantization: {calibration: {source: \"pvc://data/wikitext.jsonl\"}}",
     "calibrate on prompts of the kind that are served", unlike_production},
    {"SD022", Severity::kWarning, "A calibrated method without calibration text",
     "The method falls back to generic text, and protects the wrong channels.",
     "quantization: {candidates: [{method: awq, bits: 4}]}",
     "set spec.quantization.calibration to a few hundred prompts of the kind that are served", uncalibrated},
    {"SD029", Severity::kWarning, "The smallest file chased",
     "Below 4 bits quality falls faster than size: a 3-bit model of this size is often worse than a 4-bit "
     "one of the "
     "next smaller size.",
     "quantization: {candidates: [{method: gguf, preset: Q2_K}]}",
     "add a candidate of 4 bits or more: the smallest that meets the SLOs wins anyway", smallest_chased},
    {"SD032", Severity::kWarning, "Calibration text that is not redacted",
     "Calibration text is stored beside artifacts and read by Jobs; what users wrote does not belong there.",
     "quantization: {calibration: {source: \"pvc://logs/production.jsonl\"}}",
     "set spec.quantization.calibration.redact, such as [email, phone, iban, card], or redact them before "
     "and say "
     "so in the file's name",
     unredacted},
    {"SD033", Severity::kNote, "One preset only",
     "Which preset is the smallest good one is known only after comparing several.",
     "quantization: {candidates: [{method: gguf, preset: Q4_K_M}]}",
     "add a larger one, such as gguf Q8_0, to fall back to", one_preset},
    {"SD036", Severity::kWarning, "Calibrated on the exam",
     "Scores on the calibration prompts flatter the candidate that saw them.",
     "quantization: {calibration: {source: \"pvc://data/a.jsonl\"}}\nevaluation: {dataset: "
     "\"pvc://data/a.jsonl\"}",
     "hold prompts out for the evaluation", calibrated_on_the_exam},
    {"SD038", Severity::kWarning, "Too little calibration text",
     "AWQ and GPTQ papers use 128 samples and more; scales learnt from a handful fit that handful.",
     "quantization: {calibration: {source: \"pvc://data/a.jsonl\", samples: 8}}", "use 128 to 512",
     few_samples},
    {"SD039", Severity::kError, "Ternary weights by rounding",
     "One or two bits after training destroy a model; BitNet and its kind were trained with them.",
     "quantization: {candidates: [{method: gguf, preset: TQ1_0}]}",
     "use a model that was trained ternary, or at least 3 bits", ternary},
    {"SD043", Severity::kError, "Bits or groups that no kernel loads",
     "A checkpoint can be written with any group; engines' kernels load few.",
     "quantization: {candidates: [{method: awq, bits: 3, groupSize: 100}]}", "use 4 bits and groups of 128",
     impossible_shape},
    {"SD061", Severity::kError, "An architecture that this version does not quantize",
     "Quantizing needs to know which tensors a model has and how its layers run; the Job would fail.",
     "model: {source: \"pvc://models/qwen3\"}\nquantization: {candidates: [{method: qat, bits: 4}]}",
     "take a method that knows the architecture (all but qat know every one that the engine serves), or "
     "promote "
     "a QuantRevision that was made elsewhere",
     unknown_to_the_quantizer},
    {"SD065", Severity::kError, "Training that is not allowed",
     "Quantization-aware training takes hours of a machine. It runs where it is asked for by name.",
     "quantization: {candidates: [{method: qat, bits: 3}]}",
     "set spec.quantization.qat.enabled, and maxHours to what it may take", unasked_training},
};

}  // namespace

std::span<const Rule> method_rules() {
  return kRules;
}

}  // namespace stepdown::compat
