#include "operator/rollout/choose.h"

#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

struct SloCase {
  const char* name;
  api::Slo slo;
  const char* metric;
  std::optional<double> value;
  std::optional<double> fp16;
  const char* broken;
  std::vector<double> interval = {};
};

TEST(BrokenSlo, ComparesEachLimit) {
  const SloCase cases[] = {
      {"met", {.min = 0.9, .max = {}, .max_drop = 0.05}, "jsonPass", 0.95, 0.99, ""},
      {"at the limit", {.min = 0.9, .max = {}, .max_drop = {}}, "jsonPass", 0.9, 0.9, ""},
      {"under min",
       {.min = 0.9, .max = {}, .max_drop = {}},
       "jsonPass",
       0.89,
       0.9,
       "jsonPass 0.89 is under min 0.9"},
      {"over max",
       {.min = {}, .max = 200, .max_drop = {}},
       "latencyP99Ms",
       201,
       100,
       "latencyP99Ms 201 is over max 200"},
      {"drops",
       {.min = {}, .max = {}, .max_drop = 0.01},
       "jsonPass",
       0.95,
       0.99,
       "jsonPass 0.95 is 0.04 worse than FP16's 0.99, over maxDrop 0.01"},
      {"drops by a known range",
       {.min = {}, .max = {}, .max_drop = 0.01},
       "jsonPass",
       0.95,
       0.99,
       "jsonPass 0.95 is 0.04 (95 % 0.01 to 0.07) worse than FP16's 0.99, over maxDrop 0.01",
       {-0.07, -0.01}},
      {"is shown to drop by less",
       {.min = {}, .max = {}, .max_drop = 0.01},
       "jsonPass",
       0.985,
       0.99,
       "",
       {-0.01, 0}},
      {"may drop by more than these prompts tell",
       {.min = {}, .max = {}, .max_drop = 0.01},
       "jsonPass",
       0.99,
       0.99,
       "jsonPass 0.99 against FP16's 0.99 is not shown to be within maxDrop 0.01: by these prompts it is "
       "-0.02 to 0.02 worse (95 %); more prompts tell closer",
       {-0.02, 0.02}},
      {"lower is better in intervals too",
       {.min = {}, .max = {}, .max_drop = 0.5},
       "perplexity",
       7.4,
       7,
       "perplexity 7.4 against FP16's 7 is not shown to be within maxDrop 0.5: by these prompts it is "
       "0.2 to 0.6 worse (95 %); more prompts tell closer",
       {0.2, 0.6}},
      {"better is no drop", {.min = {}, .max = {}, .max_drop = 0}, "jsonPass", 1, 0.9, ""},
      {"lower is better",
       {.min = {}, .max = {}, .max_drop = 0.5},
       "perplexity",
       8,
       7,
       "perplexity 8 is 1 worse than FP16's 7, over maxDrop 0.5"},
      {"not measured",
       {.min = 0.9, .max = {}, .max_drop = {}},
       "jsonPass",
       {},
       0.9,
       "jsonPass was not measured"},
      {"FP16 not measured",
       {.min = {}, .max = {}, .max_drop = 0.1},
       "jsonPass",
       0.9,
       {},
       "jsonPass of FP16 was not measured"},
  };
  for (const SloCase& test : cases) {
    api::Metrics metrics, baseline;
    if (test.value) metrics[test.metric] = {.value = test.value, .interval = test.interval};
    if (test.fp16) baseline[test.metric].value = test.fp16;
    EXPECT_EQ(broken_slo({{test.metric, test.slo}}, metrics, baseline), test.broken) << test.name;
  }
}

TEST(BrokenSlo, NamesTheMetricThatASuiteOfNeedlesHas) {
  const std::map<std::string, api::Slo> one = {{"retrieval", {.min = 0.9, .max = {}, .max_drop = {}}}},
                                        many = {
                                            {"multiKeyRetrieval", {.min = 0.9, .max = {}, .max_drop = {}}}};
  api::Metrics found_many, found_one;
  found_many["multiKeyRetrieval"].value = 1;
  found_one["retrieval"].value = 1;
  EXPECT_EQ(broken_slo(one, found_many, {}),
            "retrieval was not measured: by the keys of its suite it is multiKeyRetrieval");
  EXPECT_EQ(broken_slo(many, found_one, {}),
            "multiKeyRetrieval was not measured: by the keys of its suite it is retrieval");
  EXPECT_EQ(broken_slo(one, {}, {}), "retrieval was not measured");
  EXPECT_EQ(broken_slo(one, found_one, {}), "");
}

TEST(Choose, TakesTheSmallestThatPassedAndTheFirstOfEquals) {
  const auto row = [](const char* state, std::int64_t size) {
    return api::CandidateStatus{.name = "c", .state = state, .size = size};
  };
  EXPECT_EQ(choose({row("Passed", 3), row("Passed", 2), row("Failed", 1), row("Passed", 2)}), 1u);
  EXPECT_EQ(choose({row("Failed", 1)}), std::nullopt);
  EXPECT_EQ(choose({}), std::nullopt);
}

TEST(WhyLargerLost, NamesBothSizes) {
  const api::CandidateStatus winner{.name = "gguf/Q4_K_M", .size = 3 << 20};
  EXPECT_EQ(why_larger_lost({.name = "gguf/Q8_0", .size = 5 << 20}, winner),
            "meets every SLO, and is larger: 5 MiB against 3 MiB of gguf/Q4_K_M");
  EXPECT_EQ(why_larger_lost({.name = "awq/4", .size = 3 << 20}, winner),
            "meets every SLO, and is as large: 3 MiB against 3 MiB of gguf/Q4_K_M, which is listed first");
}

}  // namespace
}  // namespace stepdown::rollout
