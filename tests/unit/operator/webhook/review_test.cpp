#include "operator/webhook/review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::webhook {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

json model(const std::string& source = "pvc://models/llama") {
  return {{"apiVersion", "stepdown.dev/v1alpha1"},
          {"kind", "QuantizedModel"},
          {"metadata", {{"name", "demo"}, {"namespace", "default"}}},
          {"spec", {{"model", {{"source", source}}}}}};
}

json asked(json object, json before = nullptr, const std::string& operation = "CREATE") {
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "705ab4f5"},
            {"kind", {{"group", "stepdown.dev"}, {"version", "v1alpha1"}, {"kind", "QuantizedModel"}}},
            {"operation", operation},
            {"object", std::move(object)},
            {"oldObject", std::move(before)}}}};
}

std::optional<api::EngineProfile> no_profiles(const std::string&) {
  return std::nullopt;
}

json response(const json& review_json, const Profiles& profiles = no_profiles) {
  const Answer answer = review(review_json.dump(), profiles);
  EXPECT_EQ(answer.status, 200) << answer.body;
  const json parsed = json::parse(answer.body);
  EXPECT_EQ(parsed["apiVersion"], "admission.k8s.io/v1");
  EXPECT_EQ(parsed["kind"], "AdmissionReview");
  EXPECT_EQ(parsed["response"]["uid"], "705ab4f5");
  return parsed["response"];
}

TEST(Review, AllowsWithTheRulesWarnings) {
  const json answer = response(asked(model()));
  EXPECT_EQ(answer["allowed"], true);
  ASSERT_EQ(answer["warnings"].size(), 1u);
  EXPECT_THAT(answer["warnings"][0].get<std::string>(), HasSubstr("SD012 spec.evaluation.dataset"));
}

TEST(Review, DeniesWithEveryErrorAndItsMend) {
  json bad = model("http://models/llama");
  bad["spec"]["rollout"] = {{"fallback", {{"replicas", 0}}}};
  const json answer = response(asked(bad));
  EXPECT_EQ(answer["allowed"], false);
  EXPECT_EQ(answer["status"]["code"], 422);
  EXPECT_EQ(answer["status"]["reason"], "Invalid");
  const std::string message = answer["status"]["message"];
  EXPECT_THAT(message, HasSubstr("SD001 spec.model.source"));
  EXPECT_THAT(message, HasSubstr("SD004 spec.rollout.fallback.replicas"));
  EXPECT_THAT(message, HasSubstr("keep at least one FP16 replica"));
}

TEST(Review, NeverStandsInTheWayOfADeletion) {
  json going = model("http://broken");
  going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  json changed = going;
  changed["metadata"]["finalizers"] = json::array();
  changed["spec"]["model"]["source"] = "http://broken-too";
  EXPECT_EQ(response(asked(changed, going, "UPDATE"))["allowed"], true);
  EXPECT_EQ(response(asked(nullptr, going, "DELETE"))["allowed"], true);
}

TEST(Review, LeavesASpecThatDidNotChangeAlone) {
  const json before = model("http://from-an-older-version");
  json after = before;
  after["metadata"]["labels"] = {{"team", "x"}};
  const json answer = response(asked(after, before, "UPDATE"));
  EXPECT_EQ(answer["allowed"], true);
  EXPECT_FALSE(answer.contains("warnings"));
  after["spec"]["model"]["revision"] = "sha256:1";
  EXPECT_EQ(response(asked(after, before, "UPDATE"))["allowed"], false);
}

TEST(Review, UsesWhatWasReadOfTheSameSource) {
  json before = model();
  before["status"]["model"] = {{"digest", "sha256:aa"}, {"contextLength", 2048}, {"size", 1000}};
  json after = before;
  after["spec"]["serving"] = {{"contextLength", 8192}};
  EXPECT_THAT(response(asked(after, before, "UPDATE"))["status"]["message"].get<std::string>(),
              HasSubstr("SD006"));
  after["spec"]["model"]["source"] = "pvc://models/another";
  EXPECT_EQ(response(asked(after, before, "UPDATE"))["allowed"], true) << "those facts are of another model";
}

TEST(Review, AnotherPinOfARemoteSourceMeansOtherFiles) {
  json before = model("hf://org/llama");
  before["spec"]["storage"] = {{"size", "1Gi"}};
  before["status"]["model"] = {{"digest", "sha256:aa"}, {"size", 1000}};
  json after = before;
  after["spec"]["model"]["revision"] = "sha256:bb";
  EXPECT_EQ(response(asked(after, before, "UPDATE"))["allowed"], true)
      << "what is there is not what is asked for";
  before["spec"]["model"]["source"] = after["spec"]["model"]["source"] = "pvc://models/llama";
  const json answer = response(asked(after, before, "UPDATE"));
  EXPECT_EQ(answer["allowed"], false);
  EXPECT_THAT(answer["status"]["message"].get<std::string>(), HasSubstr("SD011"));
}

TEST(Review, JudgesByTheEngineProfile) {
  json foreign = model();
  foreign["spec"]["serving"] = {{"engine", "mine"}};
  foreign["spec"]["quantization"]["candidates"] = {{{"method", "gguf"}, {"preset", "Q4_K_M"}}};
  EXPECT_EQ(response(asked(foreign))["allowed"], true);
  const auto mine = [](const std::string& name) -> std::optional<api::EngineProfile> {
    EXPECT_EQ(name, "mine");
    api::EngineProfile profile;
    profile.spec.formats = {"awq"};
    return profile;
  };
  EXPECT_THAT(response(asked(foreign), mine)["status"]["message"].get<std::string>(), HasSubstr("SD015"));
}

TEST(Review, DeniesWhatItCannotRead) {
  json odd = model();
  odd["spec"]["serving"] = {{"contextLength", "many"}};
  EXPECT_THAT(response(asked(odd))["status"]["message"].get<std::string>(),
              HasSubstr("spec.serving.contextLength"));
}

TEST(Review, DeniesWhatNestsWithoutEnd) {
  json bomb = model();
  bomb["spec"]["evaluation"] = {{"dataset", "pvc://data/a"}, {"suites", {"HERE"}}};
  std::string body = asked(bomb).dump();
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  body.replace(body.find("\"HERE\""), 6, deep);
  const json answer = json::parse(review(body, no_profiles).body);
  EXPECT_EQ(answer["response"]["allowed"], false);
  EXPECT_THAT(answer["response"]["status"]["message"].get<std::string>(), HasSubstr("nests too deeply"));
}

TEST(Review, LetsOtherKindsPass) {
  json other = asked(model("http://broken"));
  other["request"]["kind"]["kind"] = "QuantRevision";
  EXPECT_EQ(response(other)["allowed"], true);
}

TEST(Review, AnswersBadRequestToWhatIsNoReview) {
  json old = asked(model());
  old["apiVersion"] = "admission.k8s.io/v1beta1";
  json nameless = asked(model());
  nameless["request"].erase("uid");
  for (const std::string& body : {std::string(), std::string("{"), std::string("[]"), std::string("\xff"),
                                  json(nullptr).dump(), old.dump(), nameless.dump()}) {
    const Answer answer = review(body, no_profiles);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_THAT(answer.body, Not(IsEmpty()));
  }
}

}  // namespace
}  // namespace stepdown::webhook
