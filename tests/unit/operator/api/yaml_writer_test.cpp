#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/api/yaml.h"

namespace stepdown::api {
namespace {

using nlohmann::ordered_json;

TEST(ToYaml, KeepsOrderAndWritesShortThingsInALine) {
  const auto document = ordered_json::parse(R"({
    "kind": "QuantizedModel", "metadata": {"name": "a"},
    "spec": {"model": {"source": "pvc://models/llama"},
             "quantization": {"candidates": [{"method": "awq", "bits": 4}, {"method": "gguf", "preset": "Q4_K_M"}],
                              "calibration": {"source": "pvc://data/calibration.jsonl", "samples": 512}},
             "suites": [{"type": "jsonSchema", "schema": {"type": "object", "required": ["a field with a long name", "another one"],
                         "additionalProperties": false}}]}})");
  EXPECT_EQ(to_yaml(document), R"(kind: QuantizedModel
metadata: {name: a}
spec:
  model: {source: pvc://models/llama}
  quantization:
    candidates: [{method: awq, bits: 4}, {method: gguf, preset: Q4_K_M}]
    calibration: {source: pvc://data/calibration.jsonl, samples: 512}
  suites:
  - type: jsonSchema
    schema:
      type: object
      required: ["a field with a long name", "another one"]
      additionalProperties: false
)");
}

TEST(ToYaml, ReadsBackAsItWas) {
  const auto document = ordered_json::parse(R"({
    "strings": ["", "~", "yes", "Null", "0x1f", "1e3", "a: b", "a #b", "[x]", "- y", "é", "a\"b\\", "two\nlines", "a:", "5%", "::"],
    "numbers": [0, -7, 0.02, 1e300, 9007199254740993],
    "others": [true, false, null, {}, [], [[1], {"y": [{}]}]],
    "no": {"on": 1, "a b": 2, "": 3},
    "deep": {"deep": {"deep": [[["a long string that does not fit into the line any more, so that it goes below", 1, 2, 3, 4, 5]]]}}})");
  const auto read = documents_from_yaml(to_yaml(document), "test");
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0], nlohmann::json(document)) << to_yaml(document);
}

}  // namespace
}  // namespace stepdown::api
