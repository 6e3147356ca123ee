#include "engine/quant/calibration/calibration_set.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/kernels/dequantize.h"
#include "engine/model/scale_and_cap.h"
#include "engine/quant/calibration/corpus.h"
#include "engine/quant/calibration/redact_prompt.h"
#include "engine/quant/calibration/redaction.h"
#include "engine/tokenizer/chat_encoder.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::quant {
namespace {

using nlohmann::ordered_json;
using tokenizer::TokenId;

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  if (path.empty()) return lines;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

/// Prompts → token ids, as the engine's server would see them.
class Encoder {
 public:
  explicit Encoder(const formats::ModelFile& model)
      : tokenizer_(std::make_shared<const tokenizer::Tokenizer>(model.tokenizer())) {
    if (!model.tokenizer().chat_template.empty()) chat_.emplace(tokenizer_, model.tokenizer());
  }

  std::vector<TokenId> encode(const CorpusPrompt& prompt) const {
    std::vector<TokenId> ids = prompt.messages.empty() || !chat_
                                   ? tokenizer_->encode(prompt.plain(), false)
                                   : chat_->encode(chat_->render({{"messages", prompt.messages},
                                                                  {"tools", prompt.tools},
                                                                  {"add_generation_prompt", false}}));
    const TokenId bos = tokenizer_->bos();
    if (bos >= 0 && (ids.empty() || ids.front() != bos)) ids.insert(ids.begin(), bos);
    return ids;
  }

 private:
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::optional<tokenizer::ChatEncoder> chat_;  ///< none: the model has no template
};

}  // namespace

Matrix embed(const formats::ModelFile& model, std::span<const std::int32_t> tokens) {
  const TensorView* embeddings = model.find("token_embd.weight");
  if (embeddings == nullptr)
    throw InputError("a tensor is missing", "tensor 'token_embd.weight'", "give the complete model");
  const std::size_t bytes = embeddings->data.size() / static_cast<std::size_t>(embeddings->rows());
  Matrix stream(static_cast<std::int64_t>(tokens.size()), embeddings->columns());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto token = static_cast<std::size_t>(tokens[i]);
    if (token >= static_cast<std::size_t>(embeddings->rows())) {
      throw InputError("the tokenizer gives token " + std::to_string(token) + ", which has no embedding",
                       "tensor 'token_embd.weight'", "give the tokenizer of this model");
    }
    const std::span row = stream.row_span(static_cast<std::int64_t>(i));
    kernels::dequantize_row(embeddings->type, embeddings->data.subspan(token * bytes, bytes), row);
    if (!std::ranges::all_of(row, [](float x) { return std::isfinite(x); }))
      throw InputError("row " + std::to_string(token) + " holds weights that are not finite",
                       "tensor 'token_embd.weight'", "the checkpoint is damaged; give a sound one");
  }
  model::scale_and_cap(stream.values, model.config().embedding_scale, 0.0f);
  return stream;
}

CalibrationSet::CalibrationSet(const formats::ModelFile& model, const CalibrationRequest& request) {
  const Redactor redactor(request.redact, lines_of(request.names));
  std::vector<std::size_t> lengths;
  std::optional<Progress> progress(
      std::in_place, "read prompts",
      2 * corpus_bytes(request.path) + (request.evaluation.empty() ? 0 : corpus_bytes(request.evaluation)),
      " bytes");
  const auto on_bytes = [&](std::uint64_t bytes) { progress->advance(bytes); };
  progress->note("lengths");
  each_prompt(
      request.path, [&](const CorpusPrompt& prompt) { lengths.push_back(prompt.plain().size()); }, on_bytes);
  progress->note("tokens of those drawn");
  const auto wanted = static_cast<std::size_t>(std::max(1, request.samples));
  const Encoder encoder(model);
  const auto limit = static_cast<std::size_t>(std::min(request.max_tokens, model.config().context_length));
  Sha256 hash;
  BytePairs calibrated;
  const std::vector<std::size_t> chosen = sample_by_length(lengths, wanted, request.seed);
  auto next = chosen.begin();
  std::size_t index = 0;
  each_prompt(
      request.path,
      [&](CorpusPrompt prompt) {
        if (next == chosen.end() || index++ != *next) return;
        ++next;
        redact(redactor, prompt, redacted_);
        ordered_json pinned = {{"messages", prompt.messages}, {"text", prompt.text}};
        if (!prompt.tools.is_null()) pinned["tools"] = prompt.tools;
        hash.update(pinned.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
        calibrated.add(prompt.plain());
        auto ids = encoder.encode(prompt);
        if (ids.size() > limit) ids.resize(limit);
        if (!ids.empty()) prompts_.push_back(std::move(ids));
      },
      on_bytes);
  if (prompts_.empty()) throw InputError("holds no prompts", request.path, "give prompts with text in them");
  digest_ = hash.hex();
  if (request.evaluation.empty()) return;
  BytePairs judged;
  progress->note("how unlike the evaluation's they are");
  each_prompt(
      request.evaluation, [&](const CorpusPrompt& prompt) { judged.add(prompt.plain()); }, on_bytes);
  progress.reset();
  drift_ = drift_score(calibrated, judged);
  if (*drift_ > kDriftWarning) {
    log::warn("the calibration prompts are unlike the evaluation's: drift " + std::to_string(*drift_) +
              ", over " + std::to_string(kDriftWarning) + "; calibrate on prompts like those to be served");
  }
}

Matrix CalibrationSet::stream(const formats::ModelFile& model, std::size_t index) const {
  Matrix stream = embed(model, prompts_.at(index));
  model.release(*model.find("token_embd.weight"));
  return stream;
}

std::vector<std::int64_t> CalibrationSet::lengths() const {
  std::vector<std::int64_t> lengths;
  for (const auto& prompt : prompts_) lengths.push_back(static_cast<std::int64_t>(prompt.size()));
  return lengths;
}

std::int64_t CalibrationSet::tokens() const {
  const auto all = lengths();
  return std::accumulate(all.begin(), all.end(), std::int64_t{0});
}

std::int64_t CalibrationSet::longest() const {
  const auto all = lengths();
  return *std::ranges::max_element(all);  // there is always one
}

nlohmann::json CalibrationSet::report() const {
  nlohmann::json drift;
  if (drift_) drift = {{"score", *drift_}, {"warning", *drift_ > kDriftWarning}};
  return {{"digest", "sha256:" + digest_},
          {"samples", samples()},
          {"tokens", tokens()},
          {"redacted", redacted_},
          {"drift", drift}};
}

}  // namespace stepdown::quant
