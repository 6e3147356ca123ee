#include "operator/cli/status_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/time.h"

namespace stepdown::cli {
namespace {

using ::testing::HasSubstr;

api::QuantizedModel rolled_back() {
  api::QuantizedModel model;
  model.metadata.ns = "team";
  model.metadata.name = "harbor";
  model.status.phase = "RolledBack";
  model.status.traffic = {{"", "sha256:abcdef0123456789", "fp16", 100}};
  api::CandidateStatus candidate;
  candidate.name = "gguf/Q4_K_M";
  candidate.state = "Blocked";
  candidate.size = 3 << 20;
  candidate.metrics["jsonPass"] = {0.98, 0.99, -0.01, 200};
  model.status.candidates = {candidate};
  api::Rollback rollback;
  rollback.digest = "sha256:1234567890abcdef";
  rollback.reason = "nonFinite";
  rollback.at = "2026-01-01T12:00:00Z";
  rollback.weight = 5;
  model.status.last_rollback = rollback;
  return model;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(StatusLines, TellWhatServesAndWhatWentWrong) {
  const std::string text =
      joined(status_lines(rolled_back(), 160, *kube::parse_time("2026-01-01T12:00:30Z")));
  EXPECT_THAT(text, HasSubstr("team/harbor"));
  EXPECT_THAT(text, HasSubstr("RolledBack"));
  EXPECT_THAT(text, HasSubstr("100 %"));
  EXPECT_THAT(text, HasSubstr("abcdef012345"));
  EXPECT_THAT(text, HasSubstr("0.98 (-0.01)"));
  EXPECT_THAT(text, HasSubstr("30s ago at 5 %: nonFinite"));
}

TEST(StatusLines, TellWhatIsFetched) {
  api::QuantizedModel model;
  model.metadata.name = "remote";
  model.status.phase = "Fetching";
  model.status.sources = {
      {.source = "hf://org/llama", .state = "Fetched", .resolved = "hf://org/llama@c0ffee", .size = 3 << 20},
      {.source = "s3://b/prompts.jsonl", .state = "Failed", .message = "the store refuses the listing"}};
  const std::string text = joined(status_lines(model, 100, {}));
  EXPECT_THAT(text, HasSubstr("hf://org/llama@c0ffee"));
  EXPECT_THAT(text, HasSubstr("the store refuses the listing"));
}

TEST(StatusLines, FitTheTerminal) {
  for (const std::size_t width : {20U, 40U, 80U}) {
    for (const std::string& line : status_lines(rolled_back(), width, {})) {
      const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; });
      EXPECT_LE(columns, static_cast<std::ptrdiff_t>(width)) << line;
    }
  }
}

TEST(StatusLines, ANewObjectHasSomethingToShow) {
  api::QuantizedModel model;
  model.metadata.name = "new";
  EXPECT_THAT(joined(status_lines(model, 80, {})), HasSubstr("Pending"));
}

}  // namespace
}  // namespace stepdown::cli
