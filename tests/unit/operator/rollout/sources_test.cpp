#include "operator/rollout/sources.h"

#include <gtest/gtest.h>

namespace stepdown::rollout::sources {
namespace {

const std::string kPin = "sha256:" + std::string(64, 'a');

api::QuantizedModel model_of(const std::string& source) {
  api::QuantizedModel model;
  model.metadata.name = "m";
  model.spec.model.source = source;
  model.spec.storage.size = "1Gi";
  return model;
}

TEST(Sources, AllThatTheSpecNamesElsewhereEachOnce) {
  api::QuantizedModelSpec spec;
  spec.model = {.source = "hf://org/llama", .revision = kPin, .secret_ref = api::SecretReference{"hub"}};
  spec.model.adapters = {{"oci://r/adapter:1", 1, api::SecretReference{"registry"}}, {"pvc://c/adapter", 1}};
  spec.evaluation.dataset = "s3://b/prompts.jsonl";
  spec.evaluation.secret_ref = api::SecretReference{"store"};
  spec.quantization.calibration = api::CalibrationSpec{.source = "s3://b/prompts.jsonl"};
  spec.quantization.imatrix = "file:///imatrix.gguf";
  std::vector<std::string> told;
  for (const Remote& each : wanted(spec, nullptr)) {
    told.push_back(each.field + " " + each.source + " " + each.secret + " " + each.secret_field +
                   (each.of_base ? " base" : ""));
  }
  EXPECT_EQ(told, (std::vector<std::string>{
                      "spec.model.source hf://org/llama hub spec.model.secretRef base",
                      "spec.model.adapters[0].source oci://r/adapter:1 registry "
                      "spec.model.adapters[0].secretRef base",
                      "spec.evaluation.dataset s3://b/prompts.jsonl store spec.evaluation.secretRef"}));
  EXPECT_EQ(wanted(spec, nullptr)[0].revision, kPin);
}

TEST(Sources, APromotedArtifactIsPinnedByItsRecord) {
  api::QuantRevision revision;
  revision.spec.artifact = {"oci://r/quantized:1", kPin, {}};
  const auto list = wanted(model_of("file:///base").spec, &revision);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].revision, kPin);
  EXPECT_EQ(list[0].field, "spec.quantization.fromRevision");
}

TEST(Sources, PlacesAreMadeOfSourceAndPin) {
  const std::string uri = place("c", "hf://org/llama", "");
  EXPECT_EQ(uri.size(), std::string("pvc://c/sources/").size() + 16);
  EXPECT_EQ(folder(uri), uri.substr(std::string("pvc://c/").size()));
  EXPECT_EQ(folder(uri + "/model.gguf"), folder(uri));
  EXPECT_NE(place("c", "hf://org/llama", kPin), uri);
  for (const char* other :
       {"pvc://c/sources/", "pvc://c/sources/0123456789abcdef0", "file:///sources/0123456789abcdef",
        "pvc://c/sources/0123456789ABCDEF", "pvc://c/reports/x.html", ""}) {
    EXPECT_EQ(folder(other), "") << other;
  }
}

TEST(Sources, AQuantRevisionNeedsItsBasePinnedOrNot) {
  api::QuantRevisionSpec revision;
  revision.base = {kPin, "hf://org/llama", "", ""};
  revision.artifact = {"pvc://c/x", kPin, {}};
  EXPECT_EQ(folders_of(revision), (std::vector<std::string>{folder(place("c", "hf://org/llama", kPin)),
                                                            folder(place("c", "hf://org/llama", ""))}));
}

TEST(Sources, WhatIsLocalIsMountedAsItIs) {
  const auto model = model_of("pvc://c/llama");
  EXPECT_EQ(base(model), "pvc://c/llama");
  EXPECT_EQ(base_copy(model), "");
}

TEST(Sources, ACopyIsMountedByItsFileWhereItIsOne) {
  auto model = model_of("s3://b/model.gguf");
  const std::string at = place("m-artifacts", "s3://b/model.gguf", "");
  EXPECT_EQ(base(model), at) << "not there yet";
  model.status.sources = {
      {.source = "s3://b/model.gguf", .state = "Fetched", .place = at, .file = "model.gguf"}};
  EXPECT_EQ(base(model), at + "/model.gguf");
  model.spec.storage.claim_name = "other";
  EXPECT_EQ(fetched(model, "s3://b/model.gguf", ""), nullptr) << "another claim has no copy";
}

TEST(Sources, APinThatComesLaterNeedsNoOtherCopy) {
  auto model = model_of("hf://org/llama");
  const std::string at = place("m-artifacts", "hf://org/llama", "");
  model.status.sources = {{.source = "hf://org/llama", .state = "Fetched", .place = at}};
  EXPECT_EQ(fetched(model, "hf://org/llama", kPin), nullptr);
  model.status.model = api::ModelFacts{.source = "hf://org/llama", .place = at, .digest = kPin};
  EXPECT_NE(fetched(model, "hf://org/llama", kPin), nullptr);
  model.status.sources[0].revision = kPin;
  EXPECT_NE(fetched(model, "hf://org/llama", ""), nullptr) << "and one that is taken away neither";
  EXPECT_EQ(fetched(model, "hf://org/llama", "sha256:" + std::string(64, 'c')), nullptr);
}

}  // namespace
}  // namespace stepdown::rollout::sources
