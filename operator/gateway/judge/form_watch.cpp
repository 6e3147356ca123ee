#include "operator/gateway/judge/form_watch.h"

#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

std::shared_ptr<const schema::Schema> any_json() {
  static const auto kAny = schema::Schema::compile(nlohmann::ordered_json::object());
  return kAny;
}

}  // namespace

FormWatch::FormWatch(const schema::AnswerLanguage& language)
    : json_(language.schema != nullptr), asked_(language.matcher()) {
  if (json_) syntax_.emplace(any_json());
}

std::string FormWatch::Compact::operator()(std::string_view text) {
  std::string compact;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!space || nesting_.in_string()) compact += c;
    nesting_.take(c);
  }
  return compact;
}

bool FormWatch::follow(std::optional<schema::PrefixMatcher>& matcher, std::string_view text) const {
  schema::PrefixMatcher ahead = *matcher;
  if (ahead.accept(text) != text.size()) return false;
  matcher = std::move(ahead);
  return true;
}

bool FormWatch::accept(std::string_view text) {
  if (!asked_) return true;
  if (!json_) return follow(asked_, text);
  Compact after = compact_;
  const std::string compact = after(text);
  if (!follow(syntax_, compact)) return false;
  compact_ = after;
  left_ = left_ || !follow(asked_, compact);
  return true;
}

std::string objection(const schema::AnswerLanguage& language, std::string_view text) {
  if (language.schema) {
    const auto violations = language.schema->validate_text(text);
    return violations.empty() ? std::string() : violations.front().path + " " + violations.front().what;
  }
  std::optional<schema::PrefixMatcher> matcher = language.matcher();
  if (!matcher) return {};
  const std::size_t fits = matcher->accept(text);
  if (fits < text.size()) return "leaves the grammar at byte " + std::to_string(fits);
  return matcher->complete() ? std::string() : "ends before the grammar does";
}

}  // namespace stepdown::gateway
