#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/formats/model_file.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

struct CalibrationRequest {
  std::string path;                 ///< a .jsonl or .txt file, or a folder of them
  int samples = 512;                ///< at most
  std::int64_t max_tokens = 2048;   ///< of one prompt; the rest is cut off
  std::vector<std::string> redact;  ///< kinds of personal data (redaction.h)
  std::string names;                ///< a file of names to redact, one a line; empty: none
  std::string evaluation;           ///< the prompts that the model will be judged by; empty: no drift score
  std::uint64_t seed = 0;
};

/// What the first decoder block reads. Throws InputError for a token without an embedding.
Matrix embed(const formats::ModelFile& model, std::span<const std::int32_t> tokens);

/// Prompts to calibrate on: read, redacted, sampled by length, rendered by the model's chat template,
/// tokenized.
class CalibrationSet {
 public:
  /// Warns when the prompts are unlike those of `evaluation`. Throws InputError for files without usable
  /// prompts.
  CalibrationSet(const formats::ModelFile& model, const CalibrationRequest& request);

  /// One prompt's embeddings: what the first decoder block reads.
  Matrix stream(const formats::ModelFile& model, std::size_t index) const;

  /// SHA-256 over the redacted, sampled prompts, a line each.
  const std::string& digest() const { return digest_; }
  std::size_t samples() const { return prompts_.size(); }
  std::vector<std::int64_t> lengths() const;  ///< tokens of each prompt
  std::int64_t tokens() const;
  /// Tokens of the longest prompt.
  std::int64_t longest() const;
  /// {"digest", "samples", "tokens", "redacted": {kind: n}, "drift": {"score", "warning"}|null}
  nlohmann::json report() const;

 private:
  std::vector<std::vector<std::int32_t>> prompts_;
  std::string digest_;
  std::map<std::string, int> redacted_;
  std::optional<double> drift_;
};

}  // namespace stepdown::quant
