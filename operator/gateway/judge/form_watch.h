#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/json_nesting.h"
#include "engine/schema/answer_language.h"

namespace stepdown::gateway {

/// Watches the form of an answer while it streams. Engines write what our own would not: any white space,
/// properties in another order, other escapes. So what leaves the language that our engine writes is followed
/// as JSON alone, and judged when it is whole.
class FormWatch {
 public:
  explicit FormWatch(const schema::AnswerLanguage& language);

  /// False when no continuation of the text can be what was asked for; the text is then not taken.
  bool accept(std::string_view text);
  /// Whether an engine of ours could go on from here under the same constraint.
  bool continuable() const { return !left_; }

 private:
  /// White space between the tokens of JSON, which means nothing.
  class Compact {
   public:
    std::string operator()(std::string_view text);

   private:
    JsonNesting nesting_;
  };
  bool follow(std::optional<schema::PrefixMatcher>& matcher, std::string_view text) const;

  bool json_;
  std::optional<schema::PrefixMatcher> asked_;   ///< nullopt: any text
  std::optional<schema::PrefixMatcher> syntax_;  ///< of any JSON
  Compact compact_;
  bool left_ = false;
};

/// What keeps a whole text out of a language; empty when nothing does.
std::string objection(const schema::AnswerLanguage& language, std::string_view text);

}  // namespace stepdown::gateway
