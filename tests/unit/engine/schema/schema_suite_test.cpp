#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/schema/schema.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

// tests/integration/json_schema_suite/run gets the suite and counts.
TEST(SchemaSuite, AcceptedSchemasAreJudgedAsTheSuiteDoes) {
  const char* folder = std::getenv("STEPDOWN_SCHEMA_SUITE");
  if (folder == nullptr) GTEST_SKIP() << "STEPDOWN_SCHEMA_SUITE names no folder";
  int schemas = 0, refused = 0, documents = 0, wrong = 0;
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") files.insert(entry.path());
  }
  for (const auto& file : files) {
    for (const auto& group : ordered_json::parse(read_file(file))) {
      ++schemas;
      std::shared_ptr<const Schema> schema;
      try {
        schema = Schema::compile(group["schema"]);
      } catch (const InputError& error) {
        EXPECT_STRNE(error.what(), "");
        ++refused;
        continue;
      }
      for (const auto& test : group["tests"]) {
        // Here formats are held, as strict modes promise; the suite holds them in tests of their own.
        const auto about = test["description"].get<std::string>();
        if (about.find("is only an annotation by default") != std::string::npos) continue;
        ++documents;
        const bool valid = schema->validate_text(test["data"].dump()).empty();
        if (valid == test["valid"].get<bool>()) continue;
        ++wrong;
        ADD_FAILURE() << file.filename() << ": " << group["description"] << ": " << test["description"];
      }
    }
  }
  std::printf("%d of %d schemas refused by name; of %d documents of the others %d judged otherwise\n",
              refused, schemas, documents, wrong);
}

/// A text that the matcher leads to, chosen at random but with a liking for ends; nullopt when it became too
/// long.
std::optional<std::string> wander(PrefixMatcher matcher, std::mt19937_64& random) {
  constexpr std::size_t kLongest = 600;
  constexpr int kLiking = 12;
  std::string text;
  while (text.size() < kLongest) {
    if (matcher.finished() || (matcher.complete() && random() % 2 == 0)) return text;
    std::vector<unsigned char> bytes;
    for (int byte = 0; byte < 256; ++byte) {
      if (!PrefixMatcher(matcher).accept(static_cast<unsigned char>(byte))) continue;
      const bool ends = byte == '"' || byte == ']' || byte == '}' || byte == ':';
      bytes.insert(bytes.end(), ends ? kLiking : 1, static_cast<unsigned char>(byte));
    }
    if (bytes.empty()) return matcher.complete() ? std::optional(text) : std::nullopt;
    const unsigned char byte = bytes[random() % bytes.size()];
    matcher.accept(byte);
    text += static_cast<char>(byte);
  }
  return std::nullopt;
}

/// Answers to every schema of the suite that is accepted; STEPDOWN_SCHEMA_ANSWERS names the file they are
/// written to, for another validator to judge.
TEST(SchemaSuite, AnswersThatEndAreValid) {
  const char* folder = std::getenv("STEPDOWN_SCHEMA_SUITE");
  const char* out = std::getenv("STEPDOWN_SCHEMA_ANSWERS");
  if (folder == nullptr || out == nullptr) GTEST_SKIP() << "run by tests/integration/json_schema_suite";
  constexpr int kAnswers = 20;
  std::mt19937_64 random(1);
  std::string lines;
  int answered = 0, accepted = 0, ended = 0, cut = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    for (const auto& group : ordered_json::parse(read_file(entry.path()))) {
      std::shared_ptr<const Schema> schema;
      try {
        schema = Schema::compile(group["schema"]);
      } catch (const InputError&) {
        continue;
      }
      ++accepted;
      bool any = false;
      for (int i = 0; i < kAnswers; ++i) {
        const auto text = wander(PrefixMatcher(schema), random);
        ++(text ? ended : cut);
        if (!text) continue;
        any = true;
        const auto violations = schema->validate_text(*text);
        EXPECT_TRUE(violations.empty()) << group["schema"] << " leads to " << *text;
        lines += ordered_json{{"schema", group["schema"]}, {"text", *text}}.dump() + "\n";
      }
      answered += any ? 1 : 0;
      EXPECT_TRUE(any) << "no answer ends for " << group["schema"];
    }
  }
  EXPECT_GE(answered, 243) << "schemas that were accepted before are refused";
  write_file_atomically(out, lines);
  std::printf("%d of %d accepted schemas were answered: %d answers ended, %d became too long\n", answered,
              accepted, ended, cut);
}

}  // namespace
}  // namespace stepdown::schema
