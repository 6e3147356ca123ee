// Combinations of engine, version, format, hardware and cache that upstream documents as working must be
// accepted, and those that it documents as broken must be found: upstream_cases.tsv cites who says so.
#include <array>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "operator/compat/hardware.h"
#include "operator/compat/rules.h"

namespace stepdown::compat {
namespace {

struct UpstreamCase {
  std::string engine, version, method, hardware, kv_type, architecture, findings, source;
};

std::vector<UpstreamCase> upstream_cases() {
  std::vector<UpstreamCase> cases;
  std::ifstream file(std::string(STEPDOWN_SOURCE_DIR) + "/tests/unit/operator/compat/upstream_cases.tsv");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream in(line);
    UpstreamCase row;
    for (std::string* field : {&row.engine, &row.version, &row.method, &row.hardware, &row.kv_type,
                               &row.architecture, &row.findings, &row.source}) {
      std::getline(in, *field, '\t');
    }
    cases.push_back(row);
  }
  return cases;
}

std::vector<Finding> judged(const UpstreamCase& test) {
  api::QuantizedModelSpec spec;
  spec.model.source = "pvc://models/base";
  const auto slash = test.method.find('/');
  api::CandidateSpec candidate{.method = test.method.substr(0, slash)};
  const std::string rest = slash == std::string::npos ? "" : test.method.substr(slash + 1);
  if (!rest.empty() && rest.find_first_not_of("0123456789") == std::string::npos)
    candidate.bits = std::stoll(rest);
  else
    candidate.preset = rest;
  spec.quantization.candidates = {candidate};
  spec.kv_cache.type = test.kv_type;
  spec.serving.engine = test.engine;
  const Device* device = find_device(test.hardware);
  EXPECT_NE(device, nullptr) << test.hardware;
  if (device == nullptr) return {};
  spec.serving.hardware = api::HardwareSpec{.accelerator = std::string(device->resource)};
  spec.serving.hardware->node_selector[std::string(device->label)] = device->value;
  Inventory inventory;
  inventory.profile.emplace();
  inventory.profile->spec.version = test.version;
  inventory.model = api::ModelFacts{.digest = "sha256:a", .format = "", .architecture = test.architecture};
  inventory.model->memory.kv_per_token = 131072;
  return judge(spec, inventory);
}

TEST(UpstreamCases, AreJudgedAsDocumented) {
  const std::set<std::string> about_engines = {"SD009", "SD015", "SD016", "SD017", "SD019", "SD037",
                                               "SD040", "SD041", "SD047", "SD049", "SD052"};
  const auto cases = upstream_cases();
  EXPECT_GE(cases.size(), 150U);
  for (const UpstreamCase& test : cases) {
    EXPECT_TRUE(test.source.starts_with("https://"));
    std::string found;
    for (const Finding& each : judged(test)) {
      if (about_engines.contains(each.id)) found += (found.empty() ? "" : " ") + each.id;
    }
    EXPECT_EQ(found.empty() ? "-" : found, test.findings)
        << test.engine << ' ' << test.version << ' ' << test.method << " on " << test.hardware << ", KV "
        << test.kv_type << ", " << test.architecture << ": " << test.source;
  }
}

}  // namespace
}  // namespace stepdown::compat
