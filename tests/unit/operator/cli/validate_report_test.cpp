#include "operator/cli/validate_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::cli {
namespace {

using testing::HasSubstr;

const std::vector<Located> kFindings = {
    {"deploy/a b,c:50%.yaml",
     7,
     "QuantizedModel/m",
     {"SD001", compat::Severity::kError, "spec.model.source", "line one\nline two: 100%", "do, this"}},
    {"/abs/ü.yaml", 1, "", {"SD066", compat::Severity::kError, "", "syntax", "mend it"}},
    {"a.yaml", 2, "QuantizedModel/m", {"SD035", compat::Severity::kNote, "spec.model.revision", "m", "p"}}};

TEST(ValidateReport, EscapesWorkflowCommands) {
  const std::string text = print_findings(kFindings, "github");
  EXPECT_THAT(text, HasSubstr("::error file=deploy/a b%2Cc%3A50%25.yaml,line=7,title=SD001::QuantizedModel/m "
                              "spec.model.source: line one%0Aline two: 100%25; do, this\n"));
  EXPECT_THAT(text, HasSubstr("::error file=/abs/ü.yaml,line=1,title=SD066::syntax; mend it\n"));
  EXPECT_THAT(text, HasSubstr("::notice file=a.yaml,line=2,title=SD035::"));
}

TEST(ValidateReport, GivesSarifUris) {
  const auto log = nlohmann::json::parse(print_findings(kFindings, "sarif"));
  EXPECT_EQ(log["version"], "2.1.0");
  const auto& run = log["runs"][0];
  std::vector<std::string> uris;
  for (const auto& result : run["results"]) {
    const auto& place = result["locations"][0]["physicalLocation"];
    uris.push_back(place["artifactLocation"]["uri"]);
    EXPECT_GE(place["region"]["startLine"].get<int>(), 1);
    EXPECT_FALSE(result["message"]["text"].get<std::string>().empty());
  }
  EXPECT_THAT(uris,
              testing::ElementsAre("deploy/a%20b%2Cc%3A50%25.yaml", "file:///abs/%C3%BC.yaml", "a.yaml"));
  for (const auto& rule : run["tool"]["driver"]["rules"]) {
    EXPECT_THAT(rule["helpUri"].get<std::string>(),
                testing::EndsWith("docs/rules.md#" + rule["id"].get<std::string>()));
  }
}

TEST(ValidateReport, SaysNothingOfNothing) {
  EXPECT_EQ(print_findings({}, "text"), "");
  EXPECT_EQ(print_findings({}, "github"), "");
  EXPECT_EQ(nlohmann::json::parse(print_findings({}, "sarif"))["runs"][0]["results"].size(), 0U);
}

}  // namespace
}  // namespace stepdown::cli
