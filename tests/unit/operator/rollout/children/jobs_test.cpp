#include "operator/rollout/children/jobs.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/rollout/children/engine.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

const api::ModelFacts kBase{
    .digest = "sha256:b", .format = "safetensors", .context_length = 4096, .size = 100};
const Settings kSettings{"engine:1", "gateway:1"};

api::QuantizedModel plain_model() {
  api::QuantizedModel model;
  model.metadata = {.name = "m", .ns = "default", .uid = "u"};
  model.spec.model.source = "pvc://models/base";
  model.spec.evaluation.dataset = "pvc://data/evaluation.jsonl";
  return model;
}

json container_of(const json& object) {
  return object.at("spec").at("template").at("spec").at("containers").at(0);
}

bool has_run(const json& container, const Words& wanted) {
  const auto list = container.at("args").get<Words>();
  return std::search(list.begin(), list.end(), wanted.begin(), wanted.end()) != list.end();
}

/// subPath of the claim that is mounted there.
std::string mounted(const json& container, const std::string& path) {
  for (const json& mount : container.at("volumeMounts")) {
    if (mount.at("mountPath") == path) return mount.value("subPath", "");
  }
  return "nothing";
}

struct Case {
  const char* name;
  std::function<void(api::QuantizationSpec&)> change;
  api::CandidateSpec candidate;
  Words run;  ///< arguments that must follow one another
  const char* mount;
  const char* sub_path;
};

const Case kCases[] = {
    {"mixed precision under a budget",
     [](auto&) {},
     {"mixed", "", {}, {}, "4500Ki"},
     {"--method", "mixed", "--budget", "4608000"},
     "/artifacts",
     ""},
    {"redaction",
     [](auto& q) {
       q.calibration = {"pvc://data/logs.jsonl", 64, {"email", "iban"}, ""};
     },
     {"awq", "", 4, {}},
     {"--samples", "64", "--redact", "email,iban"},
     "/data/calibration",
     "logs.jsonl"},
    {"names to redact",
     [](auto& q) {
       q.calibration = {"pvc://data/logs.jsonl", 64, {"name"}, "pvc://data/names.txt"};
     },
     {"awq", "", 4, {}},
     {"--redact-names", "/data/redact-names"},
     "/data/redact-names",
     "names.txt"},
    {"drift from the evaluation's prompts",
     [](auto& q) { q.calibration = {"pvc://data/logs.jsonl"}; },
     {"awq", "", 4, {}},
     {"--evaluation", "/data/evaluation"},
     "/data/evaluation",
     "evaluation.jsonl"},
    {"an importance matrix of llama.cpp's",
     [](auto& q) { q.imatrix = "pvc://data/imatrix.gguf"; },
     {"gguf", "Q3_K_M", {}, {}},
     {"--imatrix", "/data/imatrix"},
     "/data/imatrix",
     "imatrix.gguf"},
    {"which is none of GPTQ's business",
     [](auto& q) { q.imatrix = "pvc://data/imatrix.gguf"; },
     {"gptq", "", 3, 64},
     {"--method", "gptq", "--bits", "3", "--group-size", "64"},
     "/data/imatrix",
     "nothing"},
};

TEST(QuantizeJob, SaysWhatTheSpecAsksFor) {
  for (const Case& test : kCases) {
    api::QuantizedModel model = plain_model();
    test.change(model.spec.quantization);
    const json container = container_of(quantize_job(model, kSettings, "m-quant", kBase, test.candidate));
    EXPECT_TRUE(has_run(container, test.run)) << test.name << ": " << container.at("args");
    EXPECT_EQ(mounted(container, test.mount), test.sub_path) << test.name;
  }
}

TEST(QuantizeJob, AnotherInputIsAnotherJob) {
  const auto name = [](const auto& change) {
    api::QuantizedModel model = plain_model();
    model.spec.quantization.calibration = {"pvc://data/logs.jsonl"};
    api::CandidateSpec candidate{"awq", "", 4, {}};
    change(model.spec, candidate);
    return names::quantize_job(model, "sha256:b", candidate, 0);
  };
  const std::string plain = name([](auto&, auto&) {});
  EXPECT_NE(name([](auto& spec, auto&) { spec.model.adapters = {{"pvc://models/lora", 1}}; }), plain);
  EXPECT_NE(name([](auto& spec, auto&) { spec.quantization.imatrix = "pvc://data/imatrix"; }), plain);
  EXPECT_NE(name([](auto& spec, auto&) { spec.quantization.calibration->redact = {"email"}; }), plain);
  EXPECT_NE(name([](auto&, auto& candidate) { candidate.budget = "1Gi"; }), plain);
  EXPECT_EQ(name([](auto& spec, auto&) { spec.serving.replicas = 7; }), plain);
}

// Adapters are part of the model: of every artifact, and of the FP16 that artifacts are compared with.
TEST(Adapters, AreMergedForEveryoneWhoReadsTheBase) {
  api::QuantizedModel model = plain_model();
  model.spec.model.adapters = {{"pvc://models/tone", 1}, {"pvc://models/law", 0.5}};
  const Words merge = {"--adapter", "/models/adapters/0=1.0", "--adapter", "/models/adapters/1=0.5"};
  const auto fp16 = [&](const std::string& source, bool is_fp16) {
    const Engine engine{.name = "m-1", .digest = "sha256:a", .source = source, .bytes = 50, .fp16 = is_fp16};
    return container_of(children::engine(model, kSettings, {}, kBase, engine).at(0));
  };
  const json readers[] = {
      container_of(quantize_job(model, kSettings, "q", kBase, {"int8", "", {}, {}})),
      container_of(evaluate_job(model, kSettings, "e", kBase, {.kv_type = "fp16"})),
      fp16("pvc://models/base", true),
  };
  for (const json& container : readers) {
    EXPECT_TRUE(has_run(container, merge)) << container.at("args");
    EXPECT_EQ(mounted(container, "/models/adapters/1"), "law");
  }
  const json of_artifacts[] = {
      container_of(evaluate_job(model, kSettings, "e", kBase, {.uri = "pvc://a/1", .kv_type = "fp16"})),
      fp16("pvc://a/1", false),
  };
  for (const json& container : of_artifacts) EXPECT_FALSE(has_run(container, {"--adapter"}));
}

TEST(FetchJob, WritesToItsPlaceByTheSecretsFiles) {
  api::QuantizedModel model = plain_model();
  model.spec.storage.claim_name = "models";
  const sources::Remote remote{.source = "hf://org/llama", .revision = "sha256:p", .secret = "hub"};
  const json object = fetch_job(model, kSettings, "m-fetch-1", remote);
  const json container = container_of(object);
  const std::string place =
      "/artifacts/" + sources::folder(sources::place("models", "hf://org/llama", "sha256:p"));
  EXPECT_TRUE(has_run(container, {"fetch", "--source", "hf://org/llama", "--out", place, "--digest",
                                  "sha256:p", "--credentials", "/credentials"}))
      << container.at("args");
  const json& pod = object.at("spec").at("template").at("spec");
  EXPECT_EQ(pod.at("volumes"),
            json({{{"name", "artifacts"}, {"persistentVolumeClaim", {{"claimName", "models"}}}},
                  {{"name", "credentials"}, {"secret", {{"secretName", "hub"}, {"defaultMode", 0440}}}}}));
  EXPECT_FALSE(container.contains("env")) << "a secret is a file of its pod, and nothing else";
  EXPECT_EQ(object.at("spec").at("activeDeadlineSeconds"), 24 * 3600);
  EXPECT_EQ(object.at("spec").at("backoffLimit"), 6);
  EXPECT_EQ(object.at("spec").at("podFailurePolicy").at("rules").at(0).at("action"), "FailJob");
}

TEST(FetchJob, WithoutPinOrSecretAsksForNeither) {
  const json container =
      container_of(fetch_job(plain_model(), kSettings, "m-fetch-1", {.source = "oci://r/llama:1"}));
  for (const json& argument : container.at("args")) {
    EXPECT_NE(argument, "--digest");
    EXPECT_NE(argument, "--credentials");
  }
}

TEST(FetchJob, AnotherInputIsAnotherJob) {
  api::QuantizedModel model = plain_model();
  const sources::Remote plain{.source = "hf://org/llama"};
  const std::string name = names::fetch_job(model, plain);
  EXPECT_NE(names::fetch_job(model, {.source = "hf://org/other"}), name);
  EXPECT_NE(names::fetch_job(model, {.source = "hf://org/llama", .revision = "sha256:p"}), name);
  EXPECT_NE(names::fetch_job(model, {.source = "hf://org/llama", .secret = "hub"}), name);
  model.spec.serving.replicas = 7;
  EXPECT_EQ(names::fetch_job(model, plain), name);
  model.spec.storage.claim_name = "other";
  EXPECT_NE(names::fetch_job(model, plain), name);
}

}  // namespace
}  // namespace stepdown::rollout::children
