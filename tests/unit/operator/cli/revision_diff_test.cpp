#include "operator/cli/revision_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdown::cli {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

api::QuantRevision revision(const std::string& name, const std::string& preset, std::int64_t size) {
  api::QuantRevision out;
  out.metadata.name = name;
  out.spec.model = "m";
  out.spec.method = "gguf";
  out.spec.preset = preset;
  out.spec.artifact = {"pvc://c/x", "sha256:" + std::string(64, preset[1]), size};
  out.spec.scores["jsonPass"].value = preset == "Q8_0" ? 0.99 : 0.97;
  return out;
}

TEST(RevisionDiff, ShowsWhatDiffersAndEveryScore) {
  const auto lines = revision_diff(revision("a", "Q8_0", 4 << 20), revision("b", "Q4_0", 3 << 20));
  EXPECT_THAT(lines, Contains(HasSubstr("preset")));
  EXPECT_THAT(lines, Contains(::testing::MatchesRegex(" *size +4 MiB +3 MiB +-25 %")));
  EXPECT_THAT(lines, Contains(::testing::MatchesRegex(" *jsonPass +0.99 +0.97 +-0.02")));
  EXPECT_EQ(lines.back(), "the same: model, method");
}

TEST(RevisionDiff, ShowsHowEachWasMade) {
  auto a = revision("a", "Q4_0", 3 << 20), b = a;
  a.spec.recipe = {"--method", "gguf", "--preset", "Q4_0"};
  b.spec.recipe = {"--method", "gguf", "--preset", "Q4_0", "--samples", "64"};
  b.spec.adapters = {{"sha256:abcdefabcdef99", 0.5}};
  b.spec.evaluation = api::EvaluationRecord{.kv_type = "int8", .fp16_kv_layers = {0, 3}};
  const auto lines = revision_diff(a, b);
  EXPECT_THAT(lines, Contains(::testing::MatchesRegex(" *recipe +--method.*--samples 64")));
  EXPECT_THAT(lines, Contains(::testing::MatchesRegex(" *adapters +- +abcdefabcdef.0.5")));
  EXPECT_THAT(lines, Contains(::testing::MatchesRegex(" *layers with FP16 KV +- +0,3")));
}

TEST(RevisionDiff, TellsThatTheSameIsTheSame) {
  const auto one = revision("a", "Q8_0", 4 << 20);
  const auto lines = revision_diff(one, one);
  EXPECT_THAT(lines, Contains(::testing::MatchesRegex(" *jsonPass +0.99 +0.99 +=")));
  EXPECT_THAT(lines.back(), HasSubstr("artifact"));
}

TEST(RevisionDiff, LeavesOpenWhatOneDoesNotHave) {
  auto bare = revision("b", "Q4_0", 3 << 20);
  bare.spec.scores.clear();
  bare.spec.artifact.size.reset();
  const auto lines = revision_diff(revision("a", "Q8_0", 4 << 20), bare);
  EXPECT_THAT(lines, Contains(::testing::MatchesRegex(" *size +4 MiB +-")));
  EXPECT_THAT(lines, Contains(::testing::MatchesRegex(" *jsonPass +0.99 +-")));
}

}  // namespace
}  // namespace stepdown::cli
