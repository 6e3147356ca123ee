#include "engine/base/error.h"
#include "engine/eval/suite.h"

namespace stepdown::eval {
namespace {

/// Compares the answer with the sample's `expected`. fieldAccuracy: the share of fields that are equal;
/// exactMatch: all are. Answers that are no JSON object score 0, or are compared as text when text is
/// expected.
class ExactMatchSuite : public Suite {
 public:
  explicit ExactMatchSuite(std::vector<std::string> fields) : fields_(std::move(fields)) {}

  void score(const Sample& sample, const Answers& answers, Scores& scores) const override {
    if (!sample.expected) return;
    const nlohmann::json expected = *sample.expected;
    const std::string& text = answers.served().text;
    if (!expected.is_object()) {
      scores["exactMatch"] = (expected.is_string() ? expected.get<std::string>() : expected.dump()) == text;
      return;
    }
    const auto answer = nlohmann::json::parse(text, nullptr, false);
    std::size_t fields = 0;
    std::size_t equal = 0;
    const auto compare = [&](const std::string& field) {
      ++fields;
      if (answer.is_object() && answer.contains(field) && answer[field] == expected[field]) ++equal;
    };
    if (fields_.empty()) {
      for (const auto& [field, value] : expected.items()) compare(field);
    } else {
      for (const std::string& field : fields_) {
        if (expected.contains(field)) compare(field);
      }
    }
    if (fields == 0) return;
    scores["fieldAccuracy"] = static_cast<double>(equal) / static_cast<double>(fields);
    scores["exactMatch"] = equal == fields ? 1.0 : 0.0;
  }

 private:
  std::vector<std::string> fields_;
};

}  // namespace

std::unique_ptr<Suite> make_exact_match_suite(const nlohmann::json& config, const std::string& where) {
  std::vector<std::string> names;
  if (const auto fields = config.find("fields"); fields != config.end()) {
    if (!fields->is_array()) throw InputError("not an array of names", where + ".fields");
    for (const auto& field : *fields) {
      if (!field.is_string()) throw InputError("not an array of names", where + ".fields");
      names.push_back(field.get<std::string>());
    }
  }
  return std::make_unique<ExactMatchSuite>(std::move(names));
}

}  // namespace stepdown::eval
