#include "operator/cli/audit_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdown::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

api::QuantizedModel model() {
  api::QuantizedModel out;
  out.metadata = {.name = "m", .ns = "shop"};
  out.status.phase = "Promoted";
  out.status.stable_revision = "m-abc";
  out.status.candidates = {{.name = "gguf/Q3_K_S",
                            .state = "Failed",
                            .message = "jsonPass 0.8 is under min 0.95",
                            .size = 2 << 20},
                           {.name = "awq/4", .state = "Chosen", .size = 3 << 20, .ladder = true}};
  return out;
}

api::QuantRevision revision() {
  api::QuantRevision out;
  out.metadata.name = "m-abc";
  out.spec.base = {"sha256:base", "pvc://models/m", "sha256:tok", ""};
  out.spec.adapters = {{"sha256:lora", 0.5}};
  out.spec.method = "awq";
  out.spec.recipe = {"--method", "awq", "--bits", "4", "--samples", "64"};
  out.spec.calibration = api::Calibration{"sha256:prompts", 64, 0.03};
  out.spec.tool_version = "stepdown-engine 1";
  out.spec.artifact = {"pvc://a/x", "sha256:art", 3 << 20};
  out.spec.evaluation =
      api::EvaluationRecord{.dataset = "pvc://d/e.jsonl", .kv_type = "int8", .fp16_kv_layers = {0, 3}};
  out.spec.scores["jsonPass"] = {
      .value = 0.97, .baseline = 0.98, .delta = -0.01, .n = 200, .interval = {-0.03, 0.01}};
  return out;
}

TEST(AuditReport, TellsAllThatIsRecorded) {
  const std::string text = audit_report(model(), {revision()});
  for (const char* part :
       {"# shop/m", "- base model: sha256:base (pvc://models/m)", "- merged adapter: sha256:lora, weight 0.5",
        "- calibration data: sha256:prompts, 64 prompts, drift from the evaluation's 0.03",
        "- layers whose KV cache stays FP16 (attention check): 0, 3",
        "| jsonPass | 0.97 | 0.98 | -0.01 | -0.03 … 0.01 | 200 |",
        "stepdown-engine quantize --method awq --bits 4 --samples 64",
        "reproduce --record record.json --model BASE --adapter ADAPTER=0.5 --calibration PROMPTS\n",
        "| gguf/Q3_K_S | Failed | 2 MiB | jsonPass 0.8 is under min 0.95 |",
        "| awq/4 (ladder) | Chosen | 3 MiB | the smallest that meets every SLO |"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("Rolled back")));
}

TEST(AuditReport, NamesEveryInputThatReproducingNeeds) {
  api::QuantizedModel redacted = model();
  redacted.spec.quantization.calibration = api::CalibrationSpec{.redact_names = "pvc://d/names.txt"};
  api::QuantRevision made = revision();
  made.spec.adapters = {};
  EXPECT_THAT(audit_report(redacted, {made}),
              HasSubstr("--model BASE --calibration PROMPTS --redact-names NAMES\n"));
  made.spec.calibration = api::Calibration{.digest = "", .imatrix = "sha256:matrix"};
  const std::string text = audit_report(redacted, {made});
  EXPECT_THAT(text, HasSubstr("--model BASE --imatrix IMATRIX\n"));
  EXPECT_THAT(text, HasSubstr("- importance matrix: sha256:matrix\n"));
}

TEST(AuditReport, SaysWhenNothingWasRecorded) {
  api::QuantizedModel plain = model();
  plain.status.blocked = {{"sha256:bad", "ErrorRate", "2026-01-01T00:00:00Z"}};
  const std::string text = audit_report(plain, {});
  EXPECT_THAT(text, HasSubstr("No quantized revision was recorded"));
  EXPECT_THAT(text, HasSubstr("- 2026-01-01T00:00:00Z: sha256:bad: ErrorRate"));
}

}  // namespace
}  // namespace stepdown::cli
