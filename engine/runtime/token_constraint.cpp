#include "engine/runtime/token_constraint.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "engine/runtime/token_mask.h"

namespace stepdown::runtime {
namespace {

class SchemaConstraint final : public TokenConstraint {
 public:
  SchemaConstraint(std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                   std::shared_ptr<TokenMaskCache> masks, schema::PrefixMatcher matcher)
      : tokenizer_(std::move(tokenizer)), masks_(std::move(masks)), matcher_(std::move(matcher)) {}

  void fill_mask(std::span<std::uint32_t> mask) override {
    const auto allowed = masks_->get(matcher_);
    const std::size_t words = std::min(mask.size(), allowed->size());
    std::copy_n(allowed->begin(), words, mask.begin());
    std::fill(mask.begin() + static_cast<std::ptrdiff_t>(words), mask.end(), 0U);
    if (!matcher_.complete()) return;
    for (const tokenizer::TokenId end : tokenizer_->end_tokens()) allow(mask, end);
  }

  bool accept(tokenizer::TokenId token) override {
    if (tokenizer_->is_end(token)) return matcher_.complete();
    const std::string_view bytes = tokenizer_->bytes(token);
    schema::PrefixMatcher ahead = matcher_;
    if (bytes.empty() || ahead.accept(bytes) != bytes.size()) return false;
    matcher_ = std::move(ahead);
    return true;
  }

  bool complete() const override { return matcher_.complete(); }

 private:
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::shared_ptr<TokenMaskCache> masks_;
  schema::PrefixMatcher matcher_;
};

}  // namespace

struct ConstraintFactory::State {
  explicit State(std::shared_ptr<const tokenizer::Tokenizer> t)
      : tokenizer(std::move(t)), index(*tokenizer) {}
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  TokenIndex index;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<TokenMaskCache>> caches;  // by the schema's text
};

ConstraintFactory::ConstraintFactory(std::shared_ptr<const tokenizer::Tokenizer> tokenizer)
    : state_(std::make_unique<State>(std::move(tokenizer))) {}
ConstraintFactory::~ConstraintFactory() = default;

std::unique_ptr<TokenConstraint> ConstraintFactory::make(std::shared_ptr<const schema::Schema> schema,
                                                         std::string_view written) {
  constexpr std::size_t kMostSchemas = 64;
  schema::PrefixMatcher matcher(schema);
  if (matcher.accept(written) != written.size()) return nullptr;
  std::shared_ptr<TokenMaskCache> masks;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->caches.size() >= kMostSchemas && !state_->caches.contains(schema->text()))
      state_->caches.clear();
    auto& cache = state_->caches[schema->text()];
    if (!cache) cache = std::make_shared<TokenMaskCache>(state_->index);
    masks = cache;
  }
  return std::make_unique<SchemaConstraint>(state_->tokenizer, std::move(masks), std::move(matcher));
}

}  // namespace stepdown::runtime
