#include "operator/rollout/ladder.h"

#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using Specs = std::vector<api::CandidateSpec>;

api::CandidateSpec spec_of(const std::string& method, std::optional<std::int64_t> bits = {}) {
  return {method, "", bits, {}};
}

struct Case {
  const char* name;
  std::function<void(api::QuantizedModelSpec&, api::ModelFacts&)> change;
  Specs tried;
  const char* next;  ///< name of the step; empty: none
  const char* end;   ///< part of the reason why there is none
};

void nothing(api::QuantizedModelSpec&, api::ModelFacts&) {}

const Case kCases[] = {
    {"AWQ first", nothing, {{"gguf", "Q3_K_S", {}, {}}}, "awq/4", ""},
    {"AutoRound recovers the bits of what missed", nothing, {spec_of("gptq", 3)}, "autoround/3", ""},
    {"then AWQ", nothing, {spec_of("gptq", 3), spec_of("autoround", 3)}, "awq/4", ""},
    {"GPTQ after AWQ", nothing, {spec_of("awq", 4)}, "gptq/4", ""},
    {"AWQ without bits is the same step", nothing, {spec_of("awq")}, "gptq/4", ""},
    {"AutoRound after GPTQ", nothing, {spec_of("awq", 4), spec_of("gptq", 4)}, "autoround/4", ""},
    {"INT8 after them",
     nothing,
     {spec_of("awq", 4), spec_of("gptq", 4), spec_of("autoround", 4)},
     "int8",
     ""},
    {"INT8 alone needs no calibration",
     [](auto& spec, auto&) { spec.quantization.calibration.reset(); },
     {{"gguf", "Q4_0", {}, {}}},
     "int8",
     ""},
    {"QAT is not started unasked",
     nothing,
     {spec_of("awq", 4), spec_of("gptq", 4), spec_of("autoround", 4), spec_of("int8")},
     "",
     "qat/4 needs spec.quantization.qat.enabled"},
    {"QAT last",
     [](auto& spec, auto&) { spec.quantization.qat.enabled = true; },
     {spec_of("awq", 4), spec_of("gptq", 4), spec_of("autoround", 4), spec_of("int8")},
     "qat/4",
     ""},
    {"QAT of an architecture whose gradients nobody wrote",
     [](auto& spec, auto& base) {
       spec.quantization.qat.enabled = true;
       base.architecture = "qwen3";
     },
     {spec_of("awq", 4), spec_of("gptq", 4), spec_of("autoround", 4), spec_of("int8")},
     "",
     "qat/4 is not made of architecture qwen3"},
    {"every step tried",
     [](auto& spec, auto&) { spec.quantization.qat.enabled = true; },
     {spec_of("awq", 4), spec_of("gptq", 4), spec_of("autoround", 4), spec_of("int8"), spec_of("qat", 4)},
     "",
     "every step was tried"},
    {"a GGUF base has no ladder",
     [](auto&, auto& base) { base.format = "gguf"; },
     {{"gguf", "Q4_0", {}, {}}},
     "",
     "int8 starts from a Hugging Face folder"},
    {"an engine that loads GGUF alone",
     [](auto& spec, auto&) { spec.serving.engine = "llama.cpp"; },
     {{"gguf", "Q4_0", {}, {}}},
     "",
     "awq/4 is not loaded by engine llama.cpp"},
    {"turned off",
     [](auto& spec, auto&) { spec.quantization.ladder = false; },
     {spec_of("awq", 4)},
     "",
     "spec.quantization.ladder is false"},
};

TEST(Ladder, TakesTheNextStepThatCanBeTaken) {
  for (const Case& test : kCases) {
    api::QuantizedModelSpec spec;
    spec.quantization.calibration = api::CalibrationSpec{.source = "file:///c.jsonl"};
    api::ModelFacts base{.format = "safetensors", .architecture = "llama"};
    test.change(spec, base);
    const std::vector<api::CandidateStatus> rows(test.tried.size(),
                                                 {.metrics = {{"jsonPass", {.value = 0.1}}}});
    const LadderStep step = next_step(spec, base, {}, test.tried, rows);
    EXPECT_EQ(step.next ? step.next->name() : "", test.next) << test.name << ": " << step.end;
    EXPECT_NE(step.end.find(test.end), std::string::npos) << test.name << ": " << step.end;
  }
}

TEST(Ladder, IsNotClimbedForCandidatesThatCouldNotBeMade) {
  const api::ModelFacts base{.format = "safetensors", .architecture = "llama"};
  const LadderStep step = next_step({}, base, {}, {spec_of("int4")}, {{.state = "Failed"}});
  EXPECT_FALSE(step.next);
  EXPECT_EQ(step.end, "no candidate came to be measured");
}

}  // namespace
}  // namespace stepdown::rollout
