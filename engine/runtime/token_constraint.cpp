#include "engine/runtime/token_constraint.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "engine/base/hash.h"
#include "engine/runtime/token_mask.h"

namespace stepdown::runtime {
namespace {

class LanguageConstraint final : public TokenConstraint {
 public:
  LanguageConstraint(std::shared_ptr<const tokenizer::Tokenizer> tokenizer, const TokenIndex& index,
                     TokenMaskCache& masks, std::uint64_t language, schema::PrefixMatcher matcher)
      : tokenizer_(std::move(tokenizer)),
        index_(&index),
        masks_(&masks),
        language_(language),
        matcher_(std::move(matcher)) {}

  void fill_mask(std::span<std::uint32_t> mask) override {
    const auto known = masks_->get(language_, matcher_);
    const TokenMask& allowed = known->mask;
    too_costly_ = known->too_costly;
    const std::size_t words = std::min(mask.size(), allowed.size());
    std::copy_n(allowed.begin(), words, mask.begin());
    std::fill(mask.begin() + static_cast<std::ptrdiff_t>(words), mask.end(), 0U);
    if (too_costly_ || !matcher_.complete()) return;
    for (const tokenizer::TokenId end : tokenizer_->end_tokens()) allow(mask, end);
  }

  bool accept(tokenizer::TokenId token) override {
    if (tokenizer_->is_end(token)) return matcher_.complete();
    const std::string_view bytes = text_of(token);
    schema::PrefixMatcher ahead = matcher_;
    if (bytes.empty() || ahead.accept(bytes) != bytes.size()) return false;
    matcher_ = std::move(ahead);
    return true;
  }

  std::vector<tokenizer::TokenId> forced(std::size_t most) const override {
    std::vector<tokenizer::TokenId> tokens;
    schema::PrefixMatcher ahead = matcher_;
    while (tokens.size() < most && !ahead.complete()) {
      const tokenizer::TokenId next = masks_->get(language_, ahead)->forced;
      if (next < 0) break;
      ahead.accept(text_of(next));
      tokens.push_back(next);
    }
    return tokens;
  }

  bool too_costly() const override { return too_costly_; }
  bool complete() const override { return matcher_.complete(); }

  std::unique_ptr<TokenConstraint> clone() const override {
    return std::make_unique<LanguageConstraint>(*this);
  }

 private:
  std::string_view text_of(tokenizer::TokenId token) const {
    return matcher_.reads_control_tokens() ? index_->text(token) : tokenizer_->bytes(token);
  }

  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  const TokenIndex* index_;
  TokenMaskCache* masks_;
  std::uint64_t language_;
  schema::PrefixMatcher matcher_;
  bool too_costly_ = false;
};

/// A vocabulary of 128,000 has masks of 16 KB: 2,000 of them fit.
constexpr std::size_t kMaskBytes = 32U << 20U;

}  // namespace

struct ConstraintFactory::State {
  explicit State(std::shared_ptr<const tokenizer::Tokenizer> t)
      : tokenizer(std::move(t)), index(*tokenizer), masks(index, kMaskBytes) {}
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  TokenIndex index;
  TokenMaskCache masks;
  std::mutex mutex;
  std::map<std::string, std::uint64_t> languages;  // by digest
  std::uint64_t next_language = 0;                 // a number is never used again
};

ConstraintFactory::ConstraintFactory(std::shared_ptr<const tokenizer::Tokenizer> tokenizer)
    : state_(std::make_unique<State>(std::move(tokenizer))) {}
ConstraintFactory::~ConstraintFactory() = default;

std::unique_ptr<TokenConstraint> ConstraintFactory::make(std::shared_ptr<const schema::Schema> schema,
                                                         std::string_view written) {
  const std::string language = "schema:" + schema->text();
  return make(schema::PrefixMatcher(std::move(schema)), language, written);
}

std::unique_ptr<TokenConstraint> ConstraintFactory::make(std::shared_ptr<const schema::TextGrammar> grammar,
                                                         std::string_view written) {
  const std::string language = grammar->text();
  return make(schema::PrefixMatcher(std::move(grammar)), language, written);
}

std::unique_ptr<TokenConstraint> ConstraintFactory::make(schema::PrefixMatcher matcher,
                                                         const std::string& language,
                                                         std::string_view written) {
  constexpr std::size_t kMostLanguages = 64;
  const std::string digest = sha256_hex(language);  // texts may be megabytes
  if (matcher.accept(written) != written.size()) return nullptr;
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(state_->mutex);
    auto& known = state_->languages;
    if (known.size() >= kMostLanguages && !known.contains(digest)) known.clear();
    const auto [entry, added] = known.try_emplace(digest, state_->next_language);
    if (added) ++state_->next_language;
    number = entry->second;
  }
  return std::make_unique<LanguageConstraint>(state_->tokenizer, state_->index, state_->masks, number,
                                              std::move(matcher));
}

}  // namespace stepdown::runtime
