#include "engine/server/embeddings.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/server/api_error.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

TEST(Embeddings, AreReadAndWrittenAsOpenAiDoes) {
  EmbeddingRequest request = parse_embedding_request(R"({"model": "m", "input": ["a", [1, 2]]})");
  EXPECT_EQ(request.inputs.size(), 2U);
  EXPECT_FALSE(request.base64);
  EXPECT_EQ(embeddings_json(request, {{1.0f, -0.5f}}, 7),
            ordered_json::parse(
                R"({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -0.5]}],
                "model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7}})"));
  request = parse_embedding_request(R"({"model": "m", "input": [1, 2], "encoding_format": "base64"})");
  EXPECT_EQ(request.inputs.size(), 1U);
  // Python: base64.b64encode(struct.pack("<2f", 1, -0.5))
  EXPECT_EQ(embeddings_json(request, {{1.0f, -0.5f}}, 2)["data"][0]["embedding"], "AACAPwAAAL8=");
  EXPECT_EQ(embeddings_json(request, {{1.0f}}, 2)["data"][0]["embedding"], "AACAPw==");
}

TEST(Embeddings, RefuseByName) {
  for (const char* body :
       {R"({"input": "a"})", R"({"model": "m"})", R"({"model": "m", "input": []})",
        R"({"model": "m", "input": [[-1]]})", R"({"model": "m", "input": "a", "dimensions": 8})",
        R"({"model": "m", "input": "a", "encoding_format": "int8"})", "[]"})
    EXPECT_THROW(parse_embedding_request(body), ApiError) << body;
}

TEST(Embeddings, StandAmongOthersAsAnswersDo) {
  const EmbeddingRequest request = parse_embedding_request(
      R"({"model": "m", "input": "a", "user": "ann", "priority": 2, "deadline_ms": 5})");
  EXPECT_EQ(request.standing.user, "ann");
  EXPECT_EQ(request.standing.priority, 2);
  EXPECT_EQ(request.standing.deadline, std::chrono::milliseconds(5));
}

}  // namespace
}  // namespace stepdown::server
