#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/model/decoder.h"
#include "engine/runtime/sampler.h"

namespace stepdown::runtime {

/// What is known of one row of logits: all of them, or what leads among them.
struct TokenRow {
  const float* logits = nullptr;
  const model::LeadingLogits* leading = nullptr;  ///< where `logits` is null
};

/// The sampler's choice from a row of `vocab` logits; nothing where the row does not tell which.
std::optional<TokenId> choose(Sampler& sampler, const TokenRow& row, std::size_t vocab,
                              std::span<const std::uint32_t> mask);

/// Logits of the rows that a step chooses tokens from. Where a GPU has them, only what leads in each is
/// fetched at first, and a row in full once a choice turns out to need it.
class RowLogits {
 public:
  RowLogits(model::Decoder& decoder, std::int64_t vocab) : decoder_(decoder), vocab_(vocab) {}

  /// Forgets those before.
  void clear();
  /// A row of the decoder's last step, that this sampler will choose from.
  void add(std::int64_t row, const Sampler& sampler);
  void fetch();
  /// Those of indices `wanted` in full; at least one.
  void fetch_whole(std::span<const std::size_t> wanted);

  std::span<const TokenRow> known() const { return known_; }

 private:
  model::Decoder& decoder_;
  std::int64_t vocab_;
  std::vector<std::int64_t> rows_;
  std::vector<std::size_t> whole_, led_;  ///< indices: what is fetched of each
  std::vector<model::LeadingQuery> queries_;
  std::vector<TokenRow> known_;
  std::vector<std::vector<float>> logits_;  ///< by call of fetch_whole()
  std::size_t calls_ = 0;
  std::vector<model::LeadingLogits> leading_;
};

}  // namespace stepdown::runtime
