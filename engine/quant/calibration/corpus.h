#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::quant {

/// One calibration prompt: chat messages, or plain text where those are empty.
struct CorpusPrompt {
  nlohmann::ordered_json messages;
  nlohmann::ordered_json tools;  ///< that the chat offered; null: none
  std::string text;

  /// All words of it, in order.
  std::string plain() const;
};

/// Reads .jsonl files, a prompt a line: {"messages": [{"role", "content"}…], "tools"?, "expected"?} (the
/// expected answer becomes the assistant's), {"prompt": "…", "completion"?} or {"text": "…"}; and .txt files,
/// whose paragraphs are prompts. A folder gives all of its files. `visit` sees one prompt after the other: a
/// night's logs are never in memory at once. `on_bytes` is told how many were read. Throws InputError with
/// file:line, also where there is no prompt.
void each_prompt(const std::filesystem::path& path, const std::function<void(CorpusPrompt prompt)>& visit,
                 const std::function<void(std::uint64_t bytes)>& on_bytes = {});
/// How many each_prompt() reads. Throws InputError where it would.
std::uint64_t corpus_bytes(const std::filesystem::path& path);

/// `count` of `lengths`, evenly over their range: sorted by length, cut into as many strata as fit, the same
/// number drawn from each. Ascending indices; all of them when there are no more. The same for the same seed
/// anywhere.
std::vector<std::size_t> sample_by_length(const std::vector<std::size_t>& lengths, std::size_t count,
                                          std::uint64_t seed);

/// How often each pair of neighbouring bytes stands in a body of text.
class BytePairs {
 public:
  void add(std::string_view text);

 private:
  friend double drift_score(const BytePairs& left, const BytePairs& right);
  double share(std::size_t pair) const;

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(65536);
  std::uint64_t total_ = 0;
};

/// How unlike two bodies of text are: the Jensen–Shannon divergence of their pairs of neighbouring bytes, in
/// bits, 0 (alike) to 1. Prose against prose of one language stays below 0.1; prose against JSON logs lies
/// above 0.25.
double drift_score(const BytePairs& left, const BytePairs& right);
inline constexpr double kDriftWarning = 0.15;

}  // namespace stepdown::quant
