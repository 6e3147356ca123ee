#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::eval {

/// One held-out prompt, a line of the user's JSONL file.
struct Sample {
  std::string id;
  nlohmann::ordered_json messages;                 ///< tokenizer::normalize_messages's
  nlohmann::ordered_json tools;                    ///< that the model may call; null: none
  std::optional<nlohmann::ordered_json> expected;  ///< the reference answer, key order as written
  std::optional<bool> refuse;                      ///< whether a refusal is the right answer
  bool brought_by_suite = false;  ///< no prompt of the user's: only suites with prompts judge it
};

/// Lines of {"id", "messages": [{"role", "content"}…], "tools"?, "expected"?, "refuse"?}; `id` defaults to
/// the line number. Throws InputError with file:line for the first line that is wrong, and for a file without
/// samples.
std::vector<Sample> read_dataset(const std::filesystem::path& path);

}  // namespace stepdown::eval
