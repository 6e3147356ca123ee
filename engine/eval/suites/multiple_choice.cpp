#include <cctype>

#include "engine/eval/suite.h"

namespace stepdown::eval {
namespace {

/// multipleChoice: where `expected` is one letter, the answer's first letter that stands alone is it. Says
/// little of what a quantized model loses, so a run that has nothing else is flagged.
class MultipleChoiceSuite : public Suite {
 public:
  void score(const Sample& sample, const Answers& answers, Scores& scores) const override {
    if (!sample.expected || !sample.expected->is_string()) return;
    const auto expected = sample.expected->get<std::string>();
    if (expected.size() != 1 || std::isalpha(static_cast<unsigned char>(expected[0])) == 0) return;
    const std::string& text = answers.free.text;
    const auto letter = [&](std::size_t i) {
      return i < text.size() && std::isalnum(static_cast<unsigned char>(text[i])) != 0;
    };
    char chosen = 0;
    for (std::size_t i = 0; i < text.size() && chosen == 0; ++i) {
      if (letter(i) && (i == 0 || !letter(i - 1)) && !letter(i + 1)) chosen = text[i];
    }
    scores["multipleChoice"] = std::toupper(static_cast<unsigned char>(chosen)) ==
                                       std::toupper(static_cast<unsigned char>(expected[0]))
                                   ? 1.0
                                   : 0.0;
  }
};

}  // namespace

std::unique_ptr<Suite> make_multiple_choice_suite(const nlohmann::json& /*config*/,
                                                  const std::string& /*where*/) {
  return std::make_unique<MultipleChoiceSuite>();
}

}  // namespace stepdown::eval
