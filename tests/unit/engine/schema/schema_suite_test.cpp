#include <cstdlib>
#include <filesystem>
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
        ++documents;
        const bool valid = schema->validate_text(test["data"].dump()).empty();
        if (valid == test["valid"].get<bool>()) continue;
        if (valid && group["schema"].contains("oneOf"))
          continue;  // read as anyOf, as OpenAI's strict mode does
        ++wrong;
        ADD_FAILURE() << file.filename() << ": " << group["description"] << ": " << test["description"];
      }
    }
  }
  std::printf("%d of %d schemas refused by name; of %d documents of the others %d judged otherwise\n",
              refused, schemas, documents, wrong);
}

}  // namespace
}  // namespace stepdown::schema
