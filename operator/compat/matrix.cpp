#include "operator/compat/matrix.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "operator/api/yaml.h"
#include "operator/compat/hardware.h"
#include "operator/compat/version.h"

// STEPDOWN_MATRIX is the file's path at build time.
asm(".section .rodata\n"
    ".global stepdown_matrix_begin, stepdown_matrix_end\n"
    "stepdown_matrix_begin:\n"
    ".incbin \"" STEPDOWN_MATRIX
    "\"\n"
    "stepdown_matrix_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" {
extern const char stepdown_matrix_begin[];
extern const char stepdown_matrix_end[];
}

namespace stepdown::compat {
namespace {

using api::Support;

std::vector<api::EngineProfile> parse_matrix() {
  std::vector<api::EngineProfile> profiles;
  for (const nlohmann::json& document : api::documents_from_yaml(std::string(matrix_yaml()), "matrix.yaml")) {
    profiles.push_back(api::parse_engine_profile(document, api::UnknownFields::kRefuse));
  }
  return profiles;
}

bool holds(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

Verdict verdict_of(const Support& row) {
  if (row.verdict == "refused") return Verdict::kRefused;
  return row.verdict == "degraded" ? Verdict::kDegraded : Verdict::kWorks;
}

/// Without a version, what some version refuses is not held against it.
bool of_version(const Support& row, std::string_view version) {
  if (row.versions.empty()) return true;
  return version.empty() ? row.verdict != "refused" : version_within(version, row.versions);
}

/// What some widths refuse is not held against a format whose width is not known.
bool of_bits(const Support& row, std::int64_t bits) {
  if (row.bits.empty()) return true;
  return bits == 0 ? row.verdict != "refused" : std::ranges::find(row.bits, bits) != row.bits.end();
}

bool of_architecture(const Support& row, std::string_view architecture) {
  if (row.architectures.empty() || holds(row.architectures, "*")) return true;
  return !architecture.empty() && holds(row.architectures, architecture);
}

bool covers(const Support& row, std::string_view hardware) {
  return row.hardware.empty() || std::ranges::any_of(row.hardware, [&](const std::string& each) {
           return is_within(hardware, each);
         });
}

/// Some hardware of the group that is asked about is in the row.
bool touches(const Support& row, std::string_view group) {
  return group.empty() || covers(row, group) ||
         std::ranges::any_of(row.hardware, [&](const std::string& each) { return is_within(each, group); });
}

template <class T>
void take_if_set(T& to, const T& from) {
  if (!from.empty()) to = from;
}

}  // namespace

std::string_view matrix_yaml() {
  return {stepdown_matrix_begin, static_cast<std::size_t>(stepdown_matrix_end - stepdown_matrix_begin)};
}

const std::vector<api::EngineProfile>& builtin_profiles() {
  static const std::vector<api::EngineProfile> kProfiles = parse_matrix();
  return kProfiles;
}

const api::EngineProfile* builtin_profile(std::string_view name) {
  for (const api::EngineProfile& each : builtin_profiles()) {
    if (each.metadata.name == name) return &each;
  }
  return nullptr;
}

std::optional<api::EngineProfile> effective_profile(
    std::string_view name, const std::optional<api::EngineProfile>& override_profile) {
  const api::EngineProfile* builtin = builtin_profile(name);
  if (builtin == nullptr || !override_profile) {
    return builtin != nullptr ? std::optional(*builtin) : override_profile;
  }
  api::EngineProfile out = *builtin;
  const api::EngineProfileSpec& own = override_profile->spec;
  api::EngineProfileSpec& spec = out.spec;
  // Another image is of another version, which only its author knows, and may hold any accelerator's build.
  if (!own.image.empty()) {
    spec.images.clear();
    spec.version.clear();
  }
  take_if_set(spec.version, own.version);
  take_if_set(spec.image, own.image);
  take_if_set(spec.images, own.images);
  take_if_set(spec.command, own.command);
  take_if_set(spec.args, own.args);
  take_if_set(spec.parallel_args, own.parallel_args);
  take_if_set(spec.group_args, own.group_args);
  take_if_set(spec.worker_args, own.worker_args);
  take_if_set(spec.env, own.env);
  take_if_set(spec.scratch, own.scratch);
  take_if_set(spec.memory.overhead, own.memory.overhead);
  if (own.memory.utilization) spec.memory.utilization = own.memory.utilization;
  take_if_set(spec.readiness_path, own.readiness_path);
  spec.support.insert(spec.support.begin(), own.support.begin(), own.support.end());
  spec.formats = own.formats;
  spec.kv_types = own.kv_types;
  return out;
}

std::string image_for(const api::EngineProfileSpec& profile, std::string_view accelerator) {
  const std::string resource(accelerator.empty() ? "cpu" : accelerator);
  if (const auto own = profile.images.find(resource); own != profile.images.end()) return own->second;
  const std::string maker = group_of_resource(accelerator);
  for (const auto& [each, image] : profile.images) {
    if (each != "cpu" && !maker.empty() && group_of_resource(each) == maker) return image;
  }
  return profile.image;
}

std::string because(const Answer& answer) {
  if (answer.row == nullptr) return "";
  const std::string note = answer.row->note.empty() ? "" : ": " + answer.row->note;
  return note + (answer.row->source.empty() ? "" : " (" + answer.row->source + ")");
}

EngineSupport::EngineSupport(std::string_view name, const std::optional<api::EngineProfile>& override_profile)
    : own_(override_profile ? &override_profile->spec : nullptr) {
  if (const api::EngineProfile* builtin = builtin_profile(name)) builtin_ = &builtin->spec;
  if (own_ == nullptr) return;
  if (!own_->formats.empty()) plain_.push_back({.formats = own_->formats});
  if (!own_->kv_types.empty()) plain_.push_back({.kv_types = own_->kv_types});
}

std::string_view EngineSupport::version() const {
  if (own_ != nullptr && (!own_->version.empty() || !own_->image.empty())) return own_->version;
  return builtin_ != nullptr ? std::string_view(builtin_->version) : std::string_view{};
}

template <class Visit>
void EngineSupport::each_row(Visit visit) const {
  static const std::vector<Support> kNone;
  for (const auto* rows : {own_ ? &own_->support : &kNone, &plain_, builtin_ ? &builtin_->support : &kNone}) {
    for (const Support& row : *rows) {
      if (of_version(row, version())) visit(row);
    }
  }
}

/// The first row that fits decides about a class. Of a group, whose class is not known, the best row counts,
/// as what might work is no fault; those behind a row that is about all of it decide nothing.
template <class Fits>
Answer EngineSupport::answer(const Question& question, Fits fits) const {
  const bool exact = is_leaf(question.hardware);
  bool decided = false;
  Answer out;
  each_row([&](const Support& row) {
    if (decided || !fits(row)) return;
    if (out.verdict == Verdict::kUnlisted) out.verdict = Verdict::kUndocumented;
    if (!of_architecture(row, question.architecture)) return;
    decided = covers(row, question.hardware);
    if (!decided && (exact || !touches(row, question.hardware))) return;
    if (out.row == nullptr || verdict_of(row) < out.verdict) out = {verdict_of(row), &row};
  });
  return out;
}

Answer EngineSupport::loads(const Question& question) const {
  return answer(question, [&](const Support& row) {
    return row.kv_types.empty() && holds(row.formats, question.format) && of_bits(row, question.bits);
  });
}

Answer EngineSupport::keeps_cache(const Question& question) const {
  return answer(question, [&](const Support& row) {
    const bool format = row.formats.empty() || question.format.empty() || holds(row.formats, question.format);
    return format && holds(row.kv_types, question.kv_type);
  });
}

Answer EngineSupport::runs(const Question& question) const {
  return answer(question, [&](const Support& row) {
    return row.kv_types.empty() && row.formats.empty() && !row.architectures.empty();
  });
}

std::vector<std::string> EngineSupport::formats() const {
  std::vector<std::string> out;
  each_row([&](const Support& row) {
    if (row.verdict == "refused" || !row.kv_types.empty()) return;
    for (const std::string& each : row.formats) {
      if (!holds(out, each)) out.push_back(each);
    }
  });
  return out;
}

std::vector<std::string> EngineSupport::kv_types() const {
  std::vector<std::string> out;
  each_row([&](const Support& row) {
    if (row.verdict == "refused") return;
    for (const std::string& each : row.kv_types) {
      if (!holds(out, each)) out.push_back(each);
    }
  });
  return out;
}

}  // namespace stepdown::compat
