#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/api/kinds.h"
#include "operator/api/time.h"
#include "operator/api/yaml.h"

namespace stepdown::api {
namespace {

using nlohmann::json;

struct BadCase {
  const char* spec;
  const char* where;
  const char* what;
};

TEST(ParseQuantizedModel, NamesThePathOfWhatIsWrong) {
  const BadCase cases[] = {
      {R"({})", "spec.model", "required field is missing"},
      {R"({"model": {}})", "spec.model.source", "required field is missing"},
      {R"({"model": {"source": 3}})", "spec.model.source", "expected a string"},
      {R"({"model": {"source": "file:///m", "sauce": 1}})", "spec.model.sauce", "unknown field"},
      {R"({"model": {"source": "x"}, "rollout": {"steps": [{"weight": 5}, {"weight": "25"}]}})",
       "spec.rollout.steps[1].weight", "expected an integer"},
      {R"({"model": {"source": "x"}, "rollout": {"steps": [{"weight": 18446744073709551615}]}})",
       "spec.rollout.steps[0].weight", "too large"},
      {R"({"model": {"source": "x"}, "evaluation": {"slo": {"jsonPass": {"min": true}}}})",
       "spec.evaluation.slo[jsonPass].min", "expected a number"},
      {R"({"model": {"source": "x"}, "suspend": "yes"})", "spec.suspend", "expected true or false"},
      {R"([])", "spec", "expected an object"},
  };
  for (const BadCase& bad : cases) {
    try {
      parse_quantized_model(json{{"spec", json::parse(bad.spec)}}, UnknownFields::kRefuse);
      FAIL() << bad.spec;
    } catch (const InputError& error) {
      EXPECT_EQ(error.where(), bad.where);
      EXPECT_NE(std::string(error.what()).find(bad.what), std::string::npos) << error.what();
      EXPECT_FALSE(error.mend().empty());
    }
  }
}

TEST(ParseQuantizedModel, IgnoresWhatANewerServerKnows) {
  const json object = {{"spec", {{"model", {{"source", "x"}}}, {"new", 1}}}, {"status", {{"newer", 2}}}};
  EXPECT_EQ(parse_quantized_model(object, UnknownFields::kIgnore).spec.model.source, "x");
}

TEST(ParseQuantizedModel, ReadsMetadata) {
  const json object = json::parse(R"({"metadata": {"name": "n", "namespace": "s", "uid": "u", "generation": 3,
    "deletionTimestamp": "2026-01-01T00:00:00Z", "annotations": {"a": "b"}, "finalizers": ["f"]},
    "spec": {"model": {"source": "x"}}})");
  const Metadata metadata = parse_quantized_model(object, UnknownFields::kRefuse).metadata;
  EXPECT_EQ(metadata.name, "n");
  EXPECT_EQ(metadata.generation, 3);
  EXPECT_TRUE(metadata.deleting);
  EXPECT_EQ(metadata.annotations.at("a"), "b");
  EXPECT_EQ(metadata.finalizers, std::vector<std::string>{"f"});
}

// As kubectl 1.32 prints them (kubectl label --local -f t.yaml x=y -o json).
TEST(Yaml, TypesScalarsAsKubectlDoes) {
  const auto documents = documents_from_yaml(
      "a: 1\nb: '1'\nc: 1.5\nd: true\ne: no\nf: null\ng: 10m\nh: 1e3\ni: \"true\"\nj: 0x1f\nk: 010\nl: "
      "1_000\n"
      "m: 0o17\no: 2026-01-01\np: +5\nq: .5\nr: -0x10\ns: 09\nt: 0x\n---\n---\n- x\n",
      "t.yaml");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0],
            json::parse(R"({"a":1,"b":"1","c":1.5,"d":true,"e":false,"f":null,"g":"10m","h":1000.0,
                                          "i":"true","j":31,"k":8,"l":1000,"m":15,"o":"2026-01-01","p":5,
                                          "q":0.5,"r":-16,"s":9.0,"t":"0x"})"));
}

// As kubectl reads it: YAML 1.1, with merge keys.
TEST(Yaml, TruthAndMergeKeysAreYaml11s) {
  const auto document = documents_from_yaml(
                            "base: &base {a: 1, b: 2}\n"
                            "one: {<<: *base, b: 3}\n"
                            "two: {<<: [{a: 4}, *base]}\n"
                            "paused: yes\nenabled: Off\ntext: \"no\"\n",
                            "t.yaml")
                            .at(0);
  EXPECT_EQ(document["one"], (nlohmann::json{{"a", 1}, {"b", 3}}));
  EXPECT_EQ(document["two"], (nlohmann::json{{"a", 4}, {"b", 2}}));
  EXPECT_EQ(document["paused"], true);
  EXPECT_EQ(document["enabled"], false);
  EXPECT_EQ(document["text"], "no");
  EXPECT_THROW(documents_from_yaml("a: {<<: 1}\n", "t.yaml"), InputError);
}

TEST(Yaml, SplitsStreamsAtTheirMarkers) {
  const auto documents = documents_from_yaml(
      "# c\n%YAML 1.2\n---\na: 1\n--- {b: 2}\n...\n---\n\n---\ns: |\n  ---\n  t\n", "t.yaml");
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(documents[0], json::parse(R"({"a": 1})"));
  EXPECT_EQ(documents[2], json::parse(R"({"s": "---\nt\n"})"));
  try {
    documents_from_yaml("a: 1\n---\nb: 2\n---\nc: [", "t.yaml");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(error.where(), "t.yaml:5");
  }
}

TEST(Yaml, NamesTheLine) {
  for (const char* text : {"a: 1\nb: [", "a: 1\na: 2", "a: 1\n? [x]\n: 2", "a: 1\nb: x\xff"}) {
    try {
      documents_from_yaml(text, "t.yaml");
      FAIL() << text;
    } catch (const InputError& error) {
      EXPECT_EQ(error.where().find("t.yaml:"), 0u) << error.where();
    }
  }
}

TEST(Time, RoundTripsAndRefuses) {
  EXPECT_EQ(format_time(*parse_time("2026-01-31T12:34:56Z")), "2026-01-31T12:34:56Z");
  EXPECT_EQ((*parse_time("1970-01-01T00:00:01.25Z")).time_since_epoch().count(), 1250);
  for (const char* bad : {"", "2026-01-31", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
                          "2026-01-31T12:34:56", "2026-01-31T12:34:56.Z", "2026-01-31T12:34:5xZ"}) {
    EXPECT_FALSE(parse_time(bad)) << bad;
  }
}

TEST(Duration, ReadsGoForms) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"60s", 60'000}, {"1h30m", 5'400'000}, {"250ms", 250}, {"0s", 0}, {"1.5m", 90'000}};
  for (const auto& [text, milliseconds] : cases)
    EXPECT_EQ(parse_duration(text)->count(), milliseconds) << text;
  for (const char* bad : {"", "5", "s", "-1s", "1x", "nans", "1e9h", "99999999999999h"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
  EXPECT_EQ(format_duration(std::chrono::seconds(5400)), "1h30m");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(500)), "1s");
}

TEST(Quantity, ReadsKubernetesForms) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"16Gi", 17179869184}, {"500m", 1}, {"2", 2}, {"1.5Ki", 1536}, {"3k", 3000}};
  for (const auto& [text, value] : cases) EXPECT_EQ(parse_quantity(text), value) << text;
  for (const char* bad : {"", "Gi", "1Xi", "1 Gi", "nan", "1e30"}) EXPECT_FALSE(parse_quantity(bad)) << bad;
}

}  // namespace
}  // namespace stepdown::api
