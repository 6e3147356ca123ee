#include "engine/formats/hf_pretokenizer.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace stepdown::formats {
namespace {

struct Family {
  std::string_view gguf;
  std::string_view steps;  ///< as `describe` writes them, joined by " + "
  bool whole_words;
};

// The regexes are those in the models' own tokenizer.json.
constexpr std::array kFamilies = {
    Family{"gpt-2", "ByteLevel", false},
    Family{"smollm", "Digits + ByteLevel", false},
    Family{
        "llama-bpe",
        R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
        R"(\s*[\r\n]+|\s+(?!\S)|\s+ + Bytes)",
        true},
    Family{
        "smaug-bpe",
        R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
        R"(\s*[\r\n]+|\s+(?!\S)|\s+ + Bytes)",
        false},
    Family{"qwen2",
           R"(Split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
           R"(\s*[\r\n]+|\s+(?!\S)|\s+ + Bytes)",
           false},
    Family{"tekken",
           R"(Split [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
           R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
           R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ + Bytes)",
           true},
    Family{"gpt-4o",
           R"(Split [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
           R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
           R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
           R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
           R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ + Bytes)",
           false},
};

std::string describe(const JsonView& step) {
  std::string type = step.required("type").text();
  if (type == "ByteLevel") {
    if (step.boolean("add_prefix_space", false)) return "ByteLevel with prefix space";
    return step.boolean("use_regex", true) ? "ByteLevel" : "Bytes";
  }
  if (type == "Digits") return step.boolean("individual_digits", false) ? "Digits" : "digit runs";
  if (type == "Split") {
    const JsonView pattern = step.required("pattern");
    if (step.text("behavior", "") == "Isolated" && !step.boolean("invert", false) && pattern.has("Regex")) {
      return "Split " + pattern.required("Regex").text();
    }
  }
  return type;
}

}  // namespace

std::string pretokenizer_name(const JsonView& file, bool whole_words) {
  const JsonView top = file.required("pre_tokenizer");
  std::vector<JsonView> steps = {top};
  if (top.required("type").text() == "Sequence") steps = top.required("pretokenizers").items();
  std::string described;
  for (const JsonView& step : steps) described += (described.empty() ? "" : " + ") + describe(step);
  const auto* family = std::ranges::find_if(
      kFamilies, [&](const Family& row) { return row.steps == described && row.whole_words == whole_words; });
  if (family != kFamilies.end()) return std::string(family->gguf);
  std::string known;
  for (const Family& row : kFamilies) known += (known.empty() ? "" : ", ") + std::string(row.gguf);
  top.fail("\"" + described + "\" is not supported" + (whole_words ? " with ignore_merges" : ""),
           "supported are those of " + known);
}

}  // namespace stepdown::formats
