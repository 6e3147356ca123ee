#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/kinds.h"

/// What is known of engines: the built-in profiles (matrix.yaml travels inside the program), and an
/// EngineProfile of the cluster over the one of its name.
namespace stepdown::compat {

/// Read once, from the program itself.
const std::vector<api::EngineProfile>& builtin_profiles();
const api::EngineProfile* builtin_profile(std::string_view name);

/// The text of matrix.yaml.
std::string_view matrix_yaml();

/// An engine as it is deployed: the override's fields over the built-in's, its support rows first. nullopt
/// when neither is there.
std::optional<api::EngineProfile> effective_profile(
    std::string_view name, const std::optional<api::EngineProfile>& override_profile);

/// The image for an extended resource ("" is the CPU, "cpu" among images): its own, that of another resource
/// of the same maker (MIG slices, shared GPUs), or the profile's one. Empty: none runs there.
std::string image_for(const api::EngineProfileSpec& profile, std::string_view accelerator);

enum class Verdict {
  kWorks,
  kDegraded,      ///< runs, but not as one thinks
  kRefused,       ///< documented not to work
  kUndocumented,  ///< rows speak of it, none fits
  kUnlisted,      ///< no row speaks of it
};

struct Answer {
  Verdict verdict = Verdict::kUnlisted;
  const api::Support* row = nullptr;  ///< that decided
};

/// ": note (source)" of the row that decided; empty when none did.
std::string because(const Answer& answer);

struct Question {
  std::string_view format;
  std::string_view kv_type;
  std::string_view hardware;  ///< a class or a group; empty: not known
  std::string_view architecture;
  std::int64_t bits = 0;  ///< of the format's weights; 0: not known
};

/// Answers about one engine. Keeps references to both profiles.
class EngineSupport {
 public:
  EngineSupport(std::string_view name, const std::optional<api::EngineProfile>& override_profile);

  /// There is a profile of that name.
  bool known() const { return own_ != nullptr || builtin_ != nullptr; }
  std::string_view version() const;
  Answer loads(const Question& question) const;        ///< question.format
  Answer keeps_cache(const Question& question) const;  ///< question.kv_type
  Answer runs(const Question& question) const;         ///< question.architecture
  /// Formats or cache types of any row that does not refuse, for mends.
  std::vector<std::string> formats() const;
  std::vector<std::string> kv_types() const;

 private:
  template <class Visit>
  void each_row(Visit visit) const;
  template <class Fits>
  Answer answer(const Question& question, Fits fits) const;

  const api::EngineProfileSpec* own_ = nullptr;
  const api::EngineProfileSpec* builtin_ = nullptr;
  std::vector<api::Support> plain_;  ///< own_'s formats and kvTypes as rows
};

}  // namespace stepdown::compat
