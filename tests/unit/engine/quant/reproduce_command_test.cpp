#include "engine/quant/reproduce_command.h"

#include "tests/unit/engine/base/run_command.h"
#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/formats/imatrix_file.h"
#include "engine/quant/quantize_run.h"

namespace stepdown::quant {
namespace {

using Arguments = std::vector<std::string>;
using nlohmann::json;

int reproduce(Arguments arguments) {
  return run_command(reproduce_command(), std::move(arguments));
}

/// A revision as the operator records it, and what it was made from.
struct Recorded {
  RandomModel model;
  formats::TempFolder folder;
  json record;

  Recorded() {
    QuantizeOptions options;
    options.model = model.folder.path();
    options.method = "gptq";
    options.request.weights.bits = 3;
    options.request.weights.group_size = 32;
    options.calibration.path = model.prompts();
    options.calibration.samples = 10;
    options.calibration.redact = {"email", "iban"};
    options.artifacts = folder / "artifacts";
    const json report = run_quantize(options);
    record = {{"kind", "QuantRevision"},
              {"spec",
               {{"base", {{"digest", report["base"]}}},
                {"method", "gptq"},
                {"calibration", {{"digest", report["calibration"]["digest"]}, {"samples", 10}}},
                {"toolVersion", report["toolVersion"]},
                {"recipe",
                 {"--method", "gptq", "--bits", "3", "--group-size", "32", "--samples", "10", "--redact",
                  "email,iban"}},
                {"artifact", {{"uri", "pvc://a/x"}, {"digest", report["digest"]}}}}}};
  }

  Arguments arguments() const {
    write_file_atomically(folder / "record.json", record.dump());
    return {"--record",      folder / "record.json",
            "--model",       model.folder.path(),
            "--calibration", model.prompts(),
            "--work",        folder.path(),
            "--threads",     "1"};
  }
};

TEST(Reproduce, TheRecordGivesTheSameDigest) {
  const Recorded recorded;
  testing::internal::CaptureStdout();
  EXPECT_EQ(reproduce(recorded.arguments()), kDone);
  const json found = json::parse(testing::internal::GetCapturedStdout());
  EXPECT_EQ(found["same"], true);
  EXPECT_EQ(found["found"], recorded.record["spec"]["artifact"]["digest"]);
}

TEST(Reproduce, FailsForAnotherArtifact) {
  Recorded recorded;
  recorded.record["spec"]["artifact"]["digest"] = "sha256:" + std::string(64, '0');
  EXPECT_THROW(reproduce(recorded.arguments()), Error);
}

TEST(Reproduce, NamesTheInputThatIsNotTheRecords) {
  Recorded recorded;
  write_file_atomically(recorded.model.prompts(), "{\"text\": \"others\"}\n");
  EXPECT_THROW(reproduce(recorded.arguments()), InputError) << "calibration data";
  recorded.record["spec"]["base"]["digest"] = "sha256:other";
  EXPECT_THROW(reproduce(recorded.arguments()), InputError) << "base model";
}

// Which digest it is, since the file's own may be the very same, and what is left to do.
TEST(Reproduce, SaysWhenPromptsAreReadOrRedactedOtherwiseThanTheyWere) {
  Recorded recorded;
  json& calibration = recorded.record["spec"]["calibration"];
  const auto refusal = [&] {
    try {
      reproduce(recorded.arguments());
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  const std::string found = calibration["digest"];
  calibration["digest"] = "sha256:earlier";
  std::string said = refusal();
  EXPECT_TRUE(said.starts_with("calibration prompts, as redacted and drawn: the digest is " + found +
                               ", and the record names sha256:earlier; give the record's --calibration"))
      << said;
  EXPECT_NE(said.find(recorded.record["spec"]["toolVersion"].get<std::string>() +
                      " as it was built then read or redacted them otherwise"),
            std::string::npos)
      << said;
  calibration["samples"] = 11;
  said = refusal();
  EXPECT_TRUE(said.starts_with("--calibration: 10 prompts were drawn, and the record names 11")) << said;
}

TEST(Reproduce, LooksAtTheInputsBeforeTheWork) {
  const Recorded recorded;
  QuantizeOptions options;
  options.model = recorded.model.folder.path();
  options.method = "gptq";
  options.calibration.path = recorded.model.prompts();
  const formats::TempFolder out;
  options.artifacts = out / "artifacts";
  json seen;
  EXPECT_THROW(run_quantize(options,
                            [&](const json& inputs) {
                              seen = inputs;
                              throw InputError("other inputs");
                            }),
               InputError);
  EXPECT_EQ(seen["base"], recorded.record["spec"]["base"]["digest"]);
  EXPECT_EQ(seen["calibration"]["digest"].get<std::string>().substr(0, 7), "sha256:");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out.path()))
    EXPECT_FALSE(entry.is_regular_file()) << entry.path();
}

TEST(Reproduce, AnImportanceMatrixIsAnInput) {
  const Recorded recorded;
  const formats::TempFolder out;
  QuantizeOptions options;
  options.model = recorded.model.folder.path();
  options.request.preset = "Q4_K_M";
  options.calibration.path = recorded.model.prompts();
  options.request.imatrix_out = out / "first.gguf";
  options.artifacts = out / "artifacts";
  run_quantize(options);
  options.request.imatrix = std::exchange(options.request.imatrix_out, "");
  options.calibration.path.clear();
  const json report = run_quantize(options);
  EXPECT_EQ(report["calibration"]["imatrix"], "sha256:" + artifact_digest(options.request.imatrix));
  const json record = {{"spec",
                        {{"base", {{"digest", report["base"]}}},
                         {"calibration", report["calibration"]},
                         {"recipe", {"--method", "gguf", "--preset", "Q4_K_M"}},
                         {"artifact", {{"digest", report["digest"]}}}}}};
  write_file_atomically(out / "record.json", record.dump());
  Arguments arguments = {"--record", out / "record.json", "--model", options.model, "--work", out.path()};
  EXPECT_THROW(reproduce(arguments), InputError) << "without the matrix";
  arguments.insert(arguments.end(), {"--imatrix", options.request.imatrix});
  testing::internal::CaptureStdout();
  EXPECT_EQ(reproduce(arguments), kDone);
  testing::internal::GetCapturedStdout();
}

TEST(ImportanceMatrix, OfAnotherModelIsRefused) {
  const RandomModel model;
  const formats::TempFolder out;
  QuantizeOptions options;
  options.model = model.folder.path();
  options.calibration.path = model.prompts();
  options.request.preset = "Q4_K_M";
  options.request.imatrix_out = out / "own.gguf";
  options.artifacts = out / "artifacts";
  run_quantize(options);
  const formats::Imatrix own = formats::read_imatrix(std::exchange(options.request.imatrix_out, ""));
  formats::Imatrix narrow, unknown;
  for (const auto& [name, columns] : own.columns) {
    narrow.columns[name] = {columns.begin(),
                            columns.begin() + static_cast<std::ptrdiff_t>(columns.size() / 2)};
    unknown.columns["other." + name] = columns;
  }
  options.request.imatrix = out / "other.gguf";
  options.request.budget = 1 << 20;
  for (const formats::Imatrix* other : {&narrow, &unknown}) {
    formats::write_imatrix(options.request.imatrix, *other, 10, 10);
    for (const char* method : {"gguf", "mixed"}) {
      options.method = method;
      options.request.preset = options.method == "gguf" ? "Q4_K_M" : "";
      EXPECT_THROW(run_quantize(options), InputError) << method;
    }
  }
}

TEST(Reproduce, RefusesWhatHoldsNoRecipe) {
  Recorded recorded;
  recorded.record["spec"]["recipe"] = {"--method", "gptq", "--no-such-option"};
  EXPECT_THROW(reproduce(recorded.arguments()), InputError);
  recorded.record["spec"]["recipe"] = {"--method", "gptq", "--bits", "3", "--group-size", "32"};
  recorded.record["spec"]["adapters"] = {3};
  EXPECT_THROW(reproduce(recorded.arguments()), InputError);
  recorded.record["spec"]["adapters"] = json::array();
  recorded.record["spec"]["artifact"].erase("digest");
  EXPECT_THROW(reproduce(recorded.arguments()), InputError);
  recorded.record["spec"].erase("recipe");
  EXPECT_THROW(reproduce(recorded.arguments()), InputError);
  recorded.record = json::array();
  EXPECT_THROW(reproduce(recorded.arguments()), InputError);
}

}  // namespace
}  // namespace stepdown::quant
