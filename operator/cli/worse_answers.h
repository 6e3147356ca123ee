#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::cli {

/// A prompt that a candidate answers worse than FP16.
struct WorseAnswer {
  std::string id;
  std::string metric;  ///< that lost most
  double fp16_score = 0;
  double score = 0;
  std::string fp16_text;
  std::string text;
};

/// By the samples of two evaluation reports (engine/eval/report.schema.json): largest loss first, then in the
/// dataset's order. Whatever is not as the schema says is left out.
std::vector<WorseAnswer> worse_answers(const nlohmann::json& fp16_report, const nlohmann::json& report);

/// For people: the count, and the first `most` side by side.
std::string print_worse_answers(const std::vector<WorseAnswer>& answers, std::size_t samples,
                                std::size_t most);

}  // namespace stepdown::cli
