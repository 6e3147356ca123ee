#include "engine/tokenizer/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <array>
#include <span>
#include <string>

#include <pcre2.h>

#include "engine/base/error.h"

namespace stepdown::tokenizer {
namespace {

constexpr const char* kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDigit = R"(\p{N})";

/// Each regex cuts further the pieces that those before it left.
struct Family {
  std::string_view name;
  std::array<const char*, 4> regexes;
  bool whole_pieces_first;
};

// As the models' own tokenizer.json state them; "default" is what llama.cpp does for files of that name.
constexpr Family kFamilies[] = {
    {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}, false},
    {"gpt-2", {kGpt2}, false},
    {"gpt2", {kGpt2}, false},
    {"phi-2", {kGpt2}, false},
    {"mpt", {kGpt2}, false},
    {"olmo", {kGpt2}, false},
    {"mellum", {kGpt2}, false},
    {"exaone4", {kGpt2}, false},
    {"granite-docling", {kGpt2}, false},
    {"smollm", {kDigit, kGpt2}, false},
    {"starcoder", {kDigit, kGpt2}, false},
    {"refact", {kDigit, kGpt2}, false},
    {"command-r", {kDigit, kGpt2}, false},
    {"codeshell", {kDigit, kGpt2}, false},
    {"exaone", {kDigit, kGpt2}, false},
    {"minerva-7b", {kDigit, kGpt2}, false},
    {"llama-bpe", {kLlama3}, true},
    {"llama3", {kLlama3}, true},
    {"llama-v3", {kLlama3}, true},
    {"falcon3", {kLlama3}, true},
    {"falcon-h1", {kLlama3}, true},
    {"pixtral", {kLlama3}, true},
    {"lfm2", {kLlama3}, true},
    {"smaug-bpe", {kLlama3}, false},
    {"dbrx", {kLlama3}, false},
    {"glm4", {kLlama3}, false},
    {"chatglm-bpe", {kLlama3}, false},
    {"qwen2", {kQwen2}, false},
    {"deepseek-r1-qwen", {kQwen2}, false},
    {"stablelm2", {kQwen2}, false},
    {"megrez", {kQwen2}, false},
    {"tekken", {kTekken}, true},
    {"gpt-4o", {kGpt4o}, false},
    {"llama4", {kGpt4o}, false},
};

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};
using Regex = std::unique_ptr<pcre2_code, FreeCode>;

Regex compile(const char* pattern) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  Regex regex(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &code, &offset, nullptr));
  if (!regex) throw Error("pre-tokenizer regex does not compile", pattern);
  pcre2_jit_compile(regex.get(), PCRE2_JIT_COMPLETE);  // without JIT the interpreter gives the same matches
  return regex;
}

void split_by(const pcre2_code* regex, std::string_view text, std::vector<std::string_view>& pieces) {
  const std::unique_ptr<pcre2_match_data, FreeMatch> match(pcre2_match_data_create(1, nullptr));
  std::size_t covered = 0;
  for (std::size_t at = 0; at < text.size();) {
    const int found = pcre2_match(regex, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, 0,
                                  match.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) throw Error("pre-tokenizer regex gave up, PCRE2 error " + std::to_string(found));
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match.get());
    if (span[0] > covered) pieces.push_back(text.substr(covered, span[0] - covered));
    if (span[1] > span[0]) pieces.push_back(text.substr(span[0], span[1] - span[0]));
    covered = span[1];
    at = std::max<std::size_t>(span[1], at + 1);
  }
  if (covered < text.size()) pieces.push_back(text.substr(covered));
}

}  // namespace

struct Pretokenizer::State {
  std::vector<Regex> regexes;
  bool whole_pieces_first = false;
};

Pretokenizer::Pretokenizer(std::string_view name) {
  const auto* family = std::ranges::find(kFamilies, name, &Family::name);
  if (family == std::end(kFamilies)) {
    std::string known;
    for (const Family& each : kFamilies) known += (known.empty() ? "" : ", ") + std::string(each.name);
    throw InputError("unknown pre-tokenizer '" + std::string(name) + "'", "tokenizer.ggml.pre",
                     "known are " + known);
  }
  auto state = std::make_unique<State>();
  for (const char* pattern : family->regexes) {
    if (pattern != nullptr) state->regexes.push_back(compile(pattern));
  }
  state->whole_pieces_first = family->whole_pieces_first;
  state_ = std::move(state);
}

Pretokenizer::~Pretokenizer() = default;
Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer& Pretokenizer::operator=(Pretokenizer&&) noexcept = default;

std::vector<std::string_view> Pretokenizer::split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  if (!text.empty()) pieces.push_back(text);
  for (const Regex& regex : state_->regexes) {
    std::vector<std::string_view> finer;
    finer.reserve(pieces.size() * 2);
    for (const std::string_view piece : pieces) split_by(regex.get(), piece, finer);
    pieces = std::move(finer);
  }
  return pieces;
}

bool Pretokenizer::whole_pieces_first() const {
  return state_->whole_pieces_first;
}

}  // namespace stepdown::tokenizer
