#include "engine/runtime/token_constraint.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/runtime/token_index.h"
#include "engine/runtime/token_mask.h"
#include "engine/schema/free_text.h"

namespace stepdown::runtime {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using tokenizer::TokenId;
using tokenizer::Tokenizer;

constexpr const char* kIncident =
    R"({"type": "object", "additionalProperties": false, "required": ["severity", "cause", "steps"],
  "properties": {"severity": {"enum": ["low", "high", "highest"]}, "cause": {"type": "string", "minLength": 2, "maxLength": 12},
  "score": {"type": "number", "minimum": 0, "maximum": 1}, "steps": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 3, "maxItems": 3}}})";

std::shared_ptr<const Tokenizer> load(const std::string& path) {
  const json golden = json::parse(read_file(path));
  formats::TokenizerData data;
  data.pre = golden["pre"];
  data.tokens = golden["tokens"].get<std::vector<std::string>>();
  for (const int type : golden["types"])
    data.types.push_back(static_cast<formats::TokenizerData::TokenType>(type));
  data.merges = golden["merges"].get<std::vector<std::string>>();
  return std::make_shared<const Tokenizer>(data);
}

std::shared_ptr<const Tokenizer> small() {
  return load(std::string(STEPDOWN_SOURCE_DIR) + "/tests/unit/engine/tokenizer/goldens/smollm.json");
}

std::shared_ptr<const schema::Schema> compile(const char* text) {
  return schema::Schema::compile(ordered_json::parse(text));
}

bool allowed(const std::vector<std::uint32_t>& mask, TokenId id) {
  return (mask[static_cast<std::size_t>(id) / 32] >> (static_cast<std::size_t>(id) % 32)) & 1U;
}

std::vector<std::uint32_t> empty_mask(const Tokenizer& tokenizer) {
  return std::vector<std::uint32_t>((static_cast<std::size_t>(tokenizer.vocab_size()) + 31) / 32 + 1, ~0U);
}

/// Masks must say for every token what the matcher says when fed the token's bytes.
TEST(TokenConstraint, MasksAgreeWithTheMatcherOnEveryToken) {
  const auto tokenizer = small();
  ConstraintFactory factory(tokenizer);
  std::mt19937 random(5);
  const char* schemas[] = {
      kIncident,
      R"({"type": "string", "maxLength": 5})",
      R"({"type": "object"})",
      R"({"type": "object", "properties": {"the": {"type": "integer"}, "th": {"const": 1}},
                               "additionalProperties": {"type": "boolean"}})",
      R"({"type": "object", "patternProperties": {"^[a-z]{1,9}$": {"const": 1}}, "additionalProperties": false})",
      R"({"anyOf": [{"type": "string", "maxLength": 2}, {"enum": ["abcdef", "the "]}]})",
      R"({"type": "string", "pattern": "^[a-f]+( the)*$"})",
      R"({"type": "integer", "minimum": 17, "maximum": 1234})"};
  for (const char* text : schemas) {
    const auto schema = compile(text);
    for (int walk = 0; walk < 8; ++walk) {
      const auto constraint = factory.make(schema);
      schema::PrefixMatcher matcher(schema);
      std::vector<std::uint32_t> mask = empty_mask(*tokenizer);
      for (int step = 0; step < 25; ++step) {
        constraint->fill_mask(mask);
        std::vector<TokenId> choices;
        for (TokenId id = 0; id < tokenizer->vocab_size(); ++id) {
          schema::PrefixMatcher ahead = matcher;
          const std::string_view bytes = tokenizer->bytes(id);
          const bool right = tokenizer->is_end(id) ? matcher.complete()
                                                   : !bytes.empty() && ahead.accept(bytes) == bytes.size();
          ASSERT_EQ(allowed(mask, id), right) << text << " token " << id << " '" << bytes << "'";
          if (right) choices.push_back(id);
        }
        ASSERT_FALSE(choices.empty());
        const TokenId chosen = choices[random() % choices.size()];
        ASSERT_TRUE(constraint->accept(chosen));
        ASSERT_EQ(constraint->complete(), [&] {
          matcher.accept(tokenizer->bytes(chosen));
          return matcher.complete();
        }());
        if (tokenizer->is_end(chosen)) break;
      }
    }
  }
}

/// Free text up to a control token, then a document, again and again.
std::shared_ptr<const schema::TextGrammar> marked_documents(const char* mark) {
  schema::GrammarBuilder builder;
  const auto start = builder.state();
  const auto opened = builder.state();
  const auto end = builder.state();
  const std::array marks = {schema::TextMark{mark, opened}};
  schema::add_free_text(builder, start, end, marks);
  builder.documents.push_back({opened, compile(kIncident), "", start});
  builder.rules.push_back({"answer", start, end});
  builder.reads_control_tokens = true;
  return builder.build(0, std::string("documents behind ") + mark);
}

TEST(TokenConstraint, MasksOfGrammarsAgreeWithTheMatcherOnEveryToken) {
  const auto tokenizer = small();
  ConstraintFactory factory(tokenizer);
  const TokenIndex index(*tokenizer);
  std::mt19937 random(5);
  const std::shared_ptr<const schema::TextGrammar> grammars[] = {
      marked_documents("<|im_start|>"), marked_documents("the"),
      schema::TextGrammar::from_regex("( ?[a-z]+,)*"),
      schema::TextGrammar::from_gbnf("root ::= [a-z ]* (\"(\" root \")\")? [^x]*")};
  for (const auto& grammar : grammars) {
    int controls = 0;
    for (int walk = 0; walk < 8; ++walk) {
      const auto constraint = factory.make(grammar);
      schema::PrefixMatcher matcher(grammar);
      std::vector<std::uint32_t> mask = empty_mask(*tokenizer);
      for (int step = 0; step < 25; ++step) {
        constraint->fill_mask(mask);
        std::vector<TokenId> choices;
        for (TokenId id = 0; id < tokenizer->vocab_size(); ++id) {
          const std::string_view text =
              matcher.reads_control_tokens() ? index.text(id) : tokenizer->bytes(id);
          schema::PrefixMatcher ahead = matcher;
          const bool right =
              tokenizer->is_end(id) ? matcher.complete() : !text.empty() && ahead.accept(text) == text.size();
          ASSERT_EQ(allowed(mask, id), right) << grammar->text() << " token " << id << " '" << text << "'";
          if (!right || tokenizer->is_end(id)) continue;
          choices.push_back(id);
          controls += tokenizer->is_control(id) ? 1 : 0;
          // half of the walks take the mark as soon as they may
          if (walk % 2 == 0 && text == "<|im_start|>") choices.assign(1000, id);
        }
        if (choices.empty()) break;
        const TokenId chosen = choices[random() % choices.size()];
        const std::string_view text =
            matcher.reads_control_tokens() ? index.text(chosen) : tokenizer->bytes(chosen);
        ASSERT_TRUE(constraint->accept(chosen));
        matcher.accept(text);
        ASSERT_EQ(constraint->complete(), matcher.complete());
      }
    }
    EXPECT_EQ(controls > 0, grammar->reads_control_tokens()) << grammar->text();
  }
}

/// Many alternatives are followed at a time where they begin alike, and told apart in the end.
TEST(TokenConstraint, ManyAlternativesAreNotTooMany) {
  const auto tokenizer = small();
  ConstraintFactory factory(tokenizer);
  ordered_json alternatives = ordered_json::array();
  for (int i = 0; i < 200; ++i) {
    const std::string kind = "kind " + std::to_string(i);
    alternatives.push_back({{"type", "object"},
                            {"properties", {{"id", {{"type", "string"}}}, {"kind", {{"const", kind}}}}},
                            {"required", {"id", "kind"}},
                            {"additionalProperties", false}});
  }
  const auto constraint = factory.make(schema::Schema::compile(ordered_json{{"anyOf", alternatives}}));
  std::vector<std::uint32_t> mask = empty_mask(*tokenizer);
  for (const TokenId id :
       tokenizer->encode(R"({"id": "a \"name\" of some length", "kind": "kind 137"})", false)) {
    constraint->fill_mask(mask);
    ASSERT_FALSE(constraint->too_costly());
    ASSERT_TRUE(allowed(mask, id)) << tokenizer->bytes(id);
    ASSERT_TRUE(constraint->accept(id));
  }
  EXPECT_TRUE(constraint->complete());
}

/// Nobody waits for a request whose masks would take seconds.
TEST(TokenConstraint, MasksOfAmbiguousLanguagesAreGivenUpSoon) {
  const auto tokenizer = small();
  ConstraintFactory factory(tokenizer);
  ordered_json alternatives = ordered_json::array();
  for (int i = 0; i < 250; ++i) {
    alternatives.push_back({{"type", "object"},
                            {"properties", {{"text", {{"type", "string"}}}, {"n" + std::to_string(i), true}}},
                            {"required", {"text"}}});
  }
  std::unique_ptr<TokenConstraint> constraints[] = {
      factory.make(schema::TextGrammar::from_gbnf(
          "root ::= x x x x x x x x\nx ::= [a-z ]* | \"a\" x | [a-z] x [a-z]")),
      factory.make(schema::TextGrammar::from_gbnf("root ::= (a | b | c | d | e)*\na ::= [a-z]+ \" \"\nb ::= "
                                                  "[a-z]* [a-z] \" \"\nc ::= [a-z]{1,40} \" \"\n"
                                                  "d ::= [a-z ]+\ne ::= ([a-z] [a-z]?)+ \" \"")),
      factory.make(schema::Schema::compile(ordered_json{{"anyOf", alternatives}}))};
  for (const auto& constraint : constraints) {
    std::vector<std::uint32_t> mask = empty_mask(*tokenizer);
    std::mt19937 random(1);
    for (int step = 0; step < 60; ++step) {
      const auto begun = std::chrono::steady_clock::now();
      constraint->fill_mask(mask);
      EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1)) << "step " << step;
      if (constraint->too_costly()) break;
      std::vector<TokenId> choices;
      for (TokenId id = 0; id < tokenizer->vocab_size(); ++id) {
        if (allowed(mask, id) && !tokenizer->is_end(id)) choices.push_back(id);
      }
      if (choices.empty()) break;
      ASSERT_TRUE(constraint->accept(choices[random() % choices.size()]));
    }
    if (constraint->too_costly()) {
      EXPECT_TRUE(std::ranges::all_of(mask, [](std::uint32_t word) { return word == 0; }));
    }
  }
  EXPECT_TRUE(constraints[1]->too_costly()) << "or make the grammar worse";
}

TEST(TokenConstraint, AllowsEndTokensAloneWhenFinished) {
  const auto tokenizer = small();
  ConstraintFactory factory(tokenizer);
  const auto constraint = factory.make(compile(R"({"enum": ["a"]})"));
  for (const TokenId id : tokenizer->encode("\"a\"", false)) ASSERT_TRUE(constraint->accept(id));
  EXPECT_TRUE(constraint->complete());
  std::vector<std::uint32_t> mask = empty_mask(*tokenizer);
  constraint->fill_mask(mask);
  for (TokenId id = 0; id < tokenizer->vocab_size(); ++id)
    EXPECT_EQ(allowed(mask, id), tokenizer->is_end(id));
  EXPECT_EQ(mask.back(), 0U);  // ids beyond the vocabulary are never allowed
  EXPECT_FALSE(constraint->accept(tokenizer->encode(" ", false)[0]));
  EXPECT_TRUE(constraint->accept(tokenizer->end_tokens()[0]));
}

TEST(TokenConstraint, ContinuesADocumentThatThePromptBegan) {
  const auto tokenizer = small();
  ConstraintFactory factory(tokenizer);
  const auto schema = compile(kIncident);
  const auto constraint = factory.make(schema, R"({"severity": "hi)");
  ASSERT_NE(constraint, nullptr);
  for (const TokenId id : tokenizer->encode("gh\",", false)) EXPECT_TRUE(constraint->accept(id));
  EXPECT_EQ(factory.make(schema, R"({"severity": "none)"), nullptr);
}

/// STEPDOWN_TOKENIZER_GOLDEN names a real vocabulary
/// (tests/unit/engine/tokenizer/goldens/make_tokenizer_goldens.py).
TEST(TokenConstraint, MasksOfARealVocabularyAreQuick) {
  const char* path = std::getenv("STEPDOWN_TOKENIZER_GOLDEN");
  if (path == nullptr) GTEST_SKIP() << "STEPDOWN_TOKENIZER_GOLDEN names none";
  const auto tokenizer = load(path);
  ConstraintFactory factory(tokenizer);
  const auto schema = compile(kIncident);
  const auto ids = tokenizer->encode(
      R"({"severity": "high", "cause": "worn seal", "score": 0.25, "steps": ["replace", "test it", "report"]})",
      false);
  std::vector<std::uint32_t> mask = empty_mask(*tokenizer);
  for (int round = 0; round < 3; ++round) {
    const auto constraint = factory.make(schema);
    double total = 0;
    double slowest = 0;
    for (const TokenId id : ids) {
      const auto start = std::chrono::steady_clock::now();
      constraint->fill_mask(mask);
      const double micros =
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
      total += micros;
      slowest = std::max(slowest, micros);
      ASSERT_TRUE(allowed(mask, id));
      ASSERT_TRUE(constraint->accept(id));
    }
    std::printf("round %d: mean %.1f us, slowest %.1f us over %zu masks\n", round,
                total / static_cast<double>(ids.size()), slowest, ids.size());
    if (round > 0) {
      EXPECT_LT(total / static_cast<double>(ids.size()), 100.0);
    }
  }
}

TEST(TokenMaskCache, StaysWithinItsBytesWhateverLanguagesCome) {
  const auto tokenizer = small();
  const TokenIndex index(*tokenizer);
  constexpr std::size_t kMost = 100'000;
  TokenMaskCache cache(index, kMost);
  for (std::uint64_t language = 0; language < 200; ++language) {
    const std::string digit = std::to_string(language % 10);
    const schema::PrefixMatcher matcher(compile((R"({"enum": [)" + digit + "]}").c_str()));
    const auto entry = cache.get(language, matcher);
    EXPECT_EQ(entry->mask, *compute_mask(index, matcher)) << "of language " << language << " and no other";
    EXPECT_GT(cache.bytes(), 0U);
    ASSERT_LE(cache.bytes(), kMost);
    EXPECT_EQ(cache.get(language, matcher), entry) << "known now";
  }
}

}  // namespace
}  // namespace stepdown::runtime
