#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/eval/answerer.h"
#include "engine/eval/dataset.h"

namespace stepdown::eval {

/// What the model said to one prompt: freely, and constrained to the suite's schema when there is one.
struct Answers {
  Answer free;
  std::optional<Answer> constrained;

  /// The answer production would serve.
  const Answer& served() const { return constrained ? *constrained : free; }
};

/// Scores of one sample by metric name, each in [0, 1]; a metric that does not apply to the sample is absent.
using Scores = std::map<std::string, double>;

/// A way of judging answers. Stateless once made.
class Suite {
 public:
  virtual ~Suite() = default;
  virtual void score(const Sample& sample, const Answers& answers, Scores& scores) const = 0;
  /// Prompts that the suite brings itself, asked beside the user's.
  virtual std::span<const Sample> prompts() const { return {}; }
  /// The JSON Schema to constrain decoding with, if the suite brings one.
  virtual const nlohmann::ordered_json* schema() const { return nullptr; }
};

struct SuiteType {
  std::string_view type;     ///< as in spec.evaluation.suites[].type
  std::string_view options;  ///< other members that it reads: "count words"
  std::unique_ptr<Suite> (*make)(const nlohmann::json& config, const std::string& where);
};

std::span<const SuiteType> suite_types();

/// `config`: the array spec.evaluation.suites. Throws InputError naming the JSON path.
std::vector<std::unique_ptr<Suite>> make_suites(const nlohmann::json& config);

// One file each in suites/.
std::unique_ptr<Suite> make_json_schema_suite(const nlohmann::json& config, const std::string& where);
std::unique_ptr<Suite> make_exact_match_suite(const nlohmann::json& config, const std::string& where);
std::unique_ptr<Suite> make_citation_suite(const nlohmann::json& config, const std::string& where);
std::unique_ptr<Suite> make_refusal_suite(const nlohmann::json& config, const std::string& where);

std::unique_ptr<Suite> make_arithmetic_suite(const nlohmann::json& config, const std::string& where);
std::unique_ptr<Suite> make_retrieval_suite(const nlohmann::json& config, const std::string& where);
std::unique_ptr<Suite> make_tool_call_suite(const nlohmann::json& config, const std::string& where);
std::unique_ptr<Suite> make_multiple_choice_suite(const nlohmann::json& config, const std::string& where);

/// config.count, 1 … 1000. Throws InputError naming the path.
std::int64_t prompt_count(const nlohmann::json& config, const std::string& where, std::int64_t fallback);

/// What is wrong with judging by these suites, in a sentence each; empty when nothing is.
std::vector<std::string> warnings_about(const nlohmann::json& config);

}  // namespace stepdown::eval
