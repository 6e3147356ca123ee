#include "engine/runtime/row_logits.h"

namespace stepdown::runtime {

std::optional<TokenId> choose(Sampler& sampler, const TokenRow& row, std::size_t vocab,
                              std::span<const std::uint32_t> mask) {
  return row.logits != nullptr ? sampler.choose({row.logits, vocab}, mask)
                               : sampler.choose(*row.leading, vocab, mask);
}

void RowLogits::clear() {
  rows_.clear();
  whole_.clear();
  led_.clear();
  queries_.clear();
  known_.clear();
  calls_ = 0;
}

void RowLogits::add(std::int64_t row, const Sampler& sampler) {
  if (decoder_.finds_leading() && !sampler.adjusts()) {
    led_.push_back(known_.size());
    queries_.push_back({row, sampler.temperature()});
  } else {
    whole_.push_back(known_.size());
  }
  rows_.push_back(row);
  known_.emplace_back();
}

void RowLogits::fetch() {
  if (!whole_.empty()) fetch_whole(whole_);
  if (queries_.empty()) return;
  leading_.resize(queries_.size());
  decoder_.leading(queries_, leading_.data());
  for (std::size_t i = 0; i < led_.size(); ++i) known_[led_[i]].leading = &leading_[i];
}

void RowLogits::fetch_whole(std::span<const std::size_t> wanted) {
  if (calls_ == logits_.size()) logits_.emplace_back();
  std::vector<float>& logits = logits_[calls_++];
  const auto width = static_cast<std::size_t>(vocab_);
  if (logits.size() < wanted.size() * width) logits.resize(wanted.size() * width);
  std::vector<std::int64_t> rows;
  for (const std::size_t index : wanted) rows.push_back(rows_[index]);
  decoder_.logits(rows, logits.data());
  for (std::size_t i = 0; i < wanted.size(); ++i) known_[wanted[i]] = {logits.data() + i * width, nullptr};
}

}  // namespace stepdown::runtime
