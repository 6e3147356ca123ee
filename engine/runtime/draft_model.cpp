#include "engine/runtime/draft_model.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "engine/base/error.h"

namespace stepdown::runtime {
namespace {

void check(const formats::ModelFile& file, const formats::TokenizerData& vocabulary,
           const EngineOptions& options) {
  constexpr const char* kMend = "draft with the same model quantized, or with a smaller one of its family";
  if (file.tokenizer().tokens != vocabulary.tokens)
    throw InputError("has other tokens than the model it shall draft for", "draft model", kMend);
  if (file.config().context_length > 0 && file.config().context_length < options.context) {
    throw InputError("takes in " + std::to_string(file.config().context_length) +
                         " tokens, a sequence may hold " + std::to_string(options.context),
                     "draft model", kMend);
  }
}

}  // namespace

/// One sequence's draft as it grows, as if its guesses were said already.
struct DraftModel::Guess {
  Sequence* sequence;
  std::int64_t most;
  std::span<const TokenId> unseen;
  Sampler sampler;
  std::unique_ptr<TokenConstraint> constraint;
  std::vector<std::uint32_t> mask;
  bool over = false;

  /// False where the row does not tell which token.
  bool take(const TokenRow& row, std::size_t vocab) {
    if (constraint != nullptr) {
      mask.assign((vocab + 31) / 32, 0);
      constraint->fill_mask(mask);
    }
    const std::optional<TokenId> token = choose(sampler, row, vocab, mask);
    if (!token) return false;
    over = *token < 0;
    if (over) return true;
    sequence->draft.push_back(*token);
    sampler.accept(*token);
    over = static_cast<std::int64_t>(sequence->draft.size()) >= most ||
           (constraint != nullptr && !constraint->accept(*token));
    return true;
  }
};

DraftModel::DraftModel(std::unique_ptr<formats::ModelFile> file, const formats::TokenizerData& vocabulary,
                       const EngineOptions& options, std::int64_t pages, kernels::ThreadPool& pool)
    : file_((check(*file, vocabulary, options), std::move(file))),
      pool_(pool),
      decoder_(model::make_decoder(*file_,
                                   {.context = options.context,
                                    .max_rows = options.prefill_chunk + options.max_sequences,
                                    .kv_pages = pages,
                                    .kv_type = options.kv_type,
                                    .last_use_of_file = true,
                                    .device = options.device},
                                   pool)),
      rows_(*decoder_, file_->config().vocab),
      pages_(pages, model::KvCache::kPageTokens, options.share_prefixes),
      chunk_(options.prefill_chunk) {}

std::vector<DraftModel::Guess> DraftModel::take_in(std::span<const Wish> wishes) {
  std::vector<Guess> guesses;
  std::vector<model::SequenceSlice> behind;  // what gets no guess yet
  std::int64_t left = chunk_;
  for (const Wish& wish : wishes) {
    Sequence& sequence = *wish.sequence;
    const std::span<const TokenId> tokens(sequence.tokens);
    if (sequence.draft_pages.pages().empty())
      sequence.draft_cached = pages_.attach(sequence.draft_pages, tokens);
    const auto unseen = tokens.subspan(static_cast<std::size_t>(sequence.draft_cached));
    const auto count = static_cast<std::int64_t>(unseen.size());
    if (!pages_.grow(sequence.draft_pages, static_cast<std::int64_t>(tokens.size()) + wish.most)) continue;
    if (count == 1 || count <= left) {
      left -= count == 1 ? 0 : count;
      const auto& constraint = sequence.request.constraint;
      guesses.push_back({.sequence = &sequence,
                         .most = wish.most,
                         .unseen = unseen,
                         .sampler = sequence.sampler->fork(),
                         .constraint = constraint == nullptr ? nullptr : constraint->clone(),
                         .mask = {}});
    } else if (left > 0) {
      behind.push_back({unseen.first(static_cast<std::size_t>(left)), sequence.draft_cached,
                        sequence.draft_pages.pages(), left});
      sequence.draft_cached += std::exchange(left, 0);
    }
  }
  if (!behind.empty()) decoder_->forward(behind);
  return guesses;
}

void DraftModel::step(std::vector<Guess>& guesses) {
  std::vector<model::SequenceSlice> slices;
  rows_.clear();
  std::int64_t row = -1;
  for (Guess& guess : guesses) {
    Sequence& sequence = *guess.sequence;
    const bool first = sequence.draft.empty();
    const std::span<const TokenId> tokens =
        first ? guess.unseen : std::span<const TokenId>(sequence.draft).last(1);
    const auto count = static_cast<std::int64_t>(tokens.size());
    slices.push_back({tokens, sequence.draft_cached, sequence.draft_pages.pages(), count - 1});
    sequence.draft_cached += count;
    rows_.add(row += count, guess.sampler);
  }
  decoder_->forward(slices);
  const auto vocab = static_cast<std::size_t>(file_->config().vocab);
  rows_.fetch();
  std::vector<std::size_t> open(guesses.size());
  std::iota(open.begin(), open.end(), 0);
  while (!open.empty()) {
    std::vector<char> taken(guesses.size(), 0);
    pool_.each(static_cast<std::int64_t>(open.size()), [&](std::int64_t index, int /*worker*/) {
      const std::size_t at = open[static_cast<std::size_t>(index)];
      taken[at] = guesses[at].take(rows_.known()[at], vocab) ? 1 : 0;
    });
    std::erase_if(open, [&](std::size_t at) { return taken[at] != 0; });
    if (!open.empty()) rows_.fetch_whole(open);
  }
}

void DraftModel::propose(std::span<const Wish> wishes) {
  std::vector<Guess> guesses = take_in(wishes);
  while (!guesses.empty()) {
    step(guesses);
    std::erase_if(guesses, [](const Guess& guess) { return guess.over; });
  }
}

void DraftModel::settle(Sequence& sequence) {
  if (sequence.draft_pages.pages().empty()) return;
  sequence.draft_cached =
      std::min(sequence.draft_cached, static_cast<std::int64_t>(sequence.tokens.size()) - 1);
  pages_.keep(sequence.draft_pages,
              std::span(sequence.tokens).first(static_cast<std::size_t>(sequence.draft_cached)));
}

void DraftModel::release(Sequence& sequence) {
  pages_.release(sequence.draft_pages);
  sequence.draft_cached = 0;
}

}  // namespace stepdown::runtime
