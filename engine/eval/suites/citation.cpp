#include <algorithm>
#include <cctype>

#include "engine/base/error.h"
#include "engine/eval/suite.h"

namespace stepdown::eval {
namespace {

/// Lower case, runs of white space as one blank: what survives a PDF's line breaks.
std::string normalized(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isspace(byte) != 0) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += static_cast<char>(std::tolower(byte));
    }
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

void collect_strings(const nlohmann::json& value, std::vector<std::string>& out) {
  if (value.is_string()) out.push_back(value.get<std::string>());
  if (value.is_structured()) {
    for (const auto& item : value) collect_strings(item, out);
  }
}

std::vector<std::string> quoted_parts(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t open = text.find('"'); open != std::string_view::npos;) {
    const std::size_t close = text.find('"', open + 1);
    if (close == std::string_view::npos) break;
    parts.emplace_back(text.substr(open + 1, close - open - 1));
    open = text.find('"', close + 1);
  }
  return parts;
}

/// citation: the answer cites at least once, and each citation stands verbatim in the prompt. Citations are
/// the strings under `field` of a JSON answer, or the parts in double quotes of a text.
class CitationSuite : public Suite {
 public:
  explicit CitationSuite(std::string field) : field_(std::move(field)) {}

  void score(const Sample& sample, const Answers& answers, Scores& scores) const override {
    std::string source;
    for (const auto& message : sample.messages) source += message["content"].get<std::string>() + "\n";
    source = normalized(source);
    const std::vector<std::string> citations = cited(answers.served().text);
    const bool all_found = std::ranges::all_of(citations, [&](const std::string& citation) {
      const std::string wanted = normalized(citation);
      return !wanted.empty() && source.find(wanted) != std::string::npos;
    });
    scores["citation"] = !citations.empty() && all_found ? 1.0 : 0.0;
  }

 private:
  std::vector<std::string> cited(const std::string& text) const {
    if (field_.empty()) return quoted_parts(text);
    std::vector<std::string> citations;
    const auto answer = nlohmann::json::parse(text, nullptr, false);
    if (answer.is_object() && answer.contains(field_)) collect_strings(answer[field_], citations);
    return citations;
  }

  std::string field_;
};

}  // namespace

std::unique_ptr<Suite> make_citation_suite(const nlohmann::json& config, const std::string& where) {
  if (config.contains("field") && !config["field"].is_string()) {
    throw InputError("not a name", where + ".field", "give the answer's field that holds the citations");
  }
  return std::make_unique<CitationSuite>(config.value("field", ""));
}

}  // namespace stepdown::eval
