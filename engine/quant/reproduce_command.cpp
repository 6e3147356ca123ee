#include "engine/quant/reproduce_command.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/log.h"
#include "engine/base/version.h"
#include "engine/formats/staging_folder.h"
#include "engine/quant/quantize_options.h"
#include "engine/quant/quantize_run.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Options {
  std::string record;
  std::string work = fs::temp_directory_path();
  QuantizeOptions inputs;  ///< what the record cannot hold: paths
};

/// The record's text at this path; empty where there is none.
std::string text_at(const json& record, const char* pointer) {
  const json::json_pointer at(pointer);
  if (!record.contains(at)) return "";
  const json& found = record.at(at);
  return found.is_string() ? found.get<std::string>() : "";
}

json read_record(const std::string& path) {
  const json object = json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("spec") || !object["spec"].is_object()) {
    throw InputError("is no QuantRevision as JSON", path, "write one with kubectl get qr NAME -o json");
  }
  json spec = object["spec"];
  const auto is_text = [](const json& each) { return each.is_string(); };
  if (!spec.contains("recipe") || !spec["recipe"].is_array() || spec["recipe"].empty() ||
      !std::ranges::all_of(spec["recipe"], is_text)) {
    throw InputError("the record holds no recipe", path + " /spec/recipe",
                     "only revisions that this version's operator made can be made again");
  }
  if (text_at(spec, "/artifact/digest").empty()) {
    throw InputError("the record names no artifact to compare with", path + " /spec/artifact/digest",
                     "give the whole QuantRevision");
  }
  const json adapters = spec.value("adapters", json::array());
  const auto has_digest = [](const json& each) {
    return each.is_object() && each.contains("digest") && each["digest"].is_string();
  };
  if (!adapters.is_array() || !std::ranges::all_of(adapters, has_digest))
    throw InputError("is no list of adapters with digests", path + " /spec/adapters",
                     "give the whole QuantRevision");
  return spec;
}

/// The recipe's settings with the given inputs.
QuantizeOptions options_of(const json& record, const Options& given) {
  QuantizeOptions options;
  CLI::App app;
  add_options(app, options);
  auto arguments = record["recipe"].get<std::vector<std::string>>();
  arguments.insert(arguments.end(), {"--model", given.inputs.model});
  std::ranges::reverse(arguments);  // as CLI11 wants a vector
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    throw InputError(std::string("the recipe is not understood: ") + error.what(), given.record,
                     "use the version that made it: " + text_at(record, "/toolVersion"));
  }
  options.adapters = given.inputs.adapters;
  options.calibration.path = given.inputs.calibration.path;
  options.calibration.names = given.inputs.calibration.names;
  options.request.imatrix = given.inputs.request.imatrix;
  options.request.imatrix_out.clear();
  options.threads = given.inputs.threads;
  return options;
}

/// Throws InputError when an input is not the record's.
void check_input(const std::string& what, const std::string& wanted, const std::string& found,
                 const std::string& mend) {
  if (wanted == found) return;
  throw InputError("the digest is " + (found.empty() ? "none" : found) + ", and the record names " +
                       (wanted.empty() ? "none" : wanted),
                   what, mend);
}

/// The prompts' digest is of what a model is calibrated on: their file may be the record's all the same.
void check_prompts(const json& record, const json& inputs) {
  const std::string wanted = text_at(record, "/calibration/digest");
  const std::string found = text_at(inputs, "/calibration/digest");
  const json samples = record["calibration"].value("samples", json());
  if (!found.empty() && samples.is_number() && samples != inputs["calibration"]["samples"]) {
    throw InputError(inputs["calibration"]["samples"].dump() + " prompts were drawn, and the record names " +
                         samples.dump(),
                     "--calibration", "give the file that the record's model was calibrated on");
  }
  check_input(
      "calibration prompts, as redacted and drawn", wanted, found,
      "give the record's --calibration, and --redact-names where it had some. Are the files the same, "
      "then " +
          text_at(record, "/toolVersion") +
          " as it was built then read or redacted them "
          "otherwise, such as the tools beside the messages: only that build makes this artifact again. "
          "Nothing says that the artifact is wrong; to have one that can be made again, let this version "
          "quantize the base anew");
}

void check_inputs(const json& record, const json& inputs) {
  check_input("base model", text_at(record, "/base/digest"), text_at(inputs, "/base"),
              "give the record's --model");
  // Prompts that the method did not learn from are not in the record.
  if (!text_at(record, "/calibration/digest").empty()) check_prompts(record, inputs);
  check_input("importance matrix", text_at(record, "/calibration/imatrix"),
              text_at(inputs, "/calibration/imatrix"), "give the record's --imatrix");
  const auto digests = [](const json& holder) {
    std::string all;
    for (const json& each : holder.value("adapters", json::array()))
      all += (all.empty() ? "" : " ") + each.value("digest", "");
    return all;
  };
  check_input("adapters", digests(record), digests(inputs),
              "give each --adapter of the record, in its order");
}

int reproduce(const Options& options) {
  const json record = read_record(options.record);
  const std::string wanted = text_at(record, "/artifact/digest");
  const std::string tool = "stepdown-engine " + std::string(kVersion);
  if (const std::string made_by = text_at(record, "/toolVersion"); !made_by.empty() && made_by != tool) {
    log::warn("the record was made by " + made_by + ", this is " + tool);
  }
  QuantizeOptions quantize = options_of(record, options);
  const formats::StagingFolder folder(options.work);
  quantize.artifacts = folder.path();
  const json report = run_quantize(quantize, [&](const json& inputs) { check_inputs(record, inputs); });
  const std::string found = text_at(report, "/digest");
  std::printf("%s\n", json({{"wanted", wanted},
                            {"found", found},
                            {"same", wanted == found},
                            {"toolVersion", tool},
                            {"seconds", report.value("seconds", 0.0)}})
                          .dump(2)
                          .c_str());
  if (wanted == found) return kDone;
  throw Error("the artifact is another one: " + found + ", not " + wanted, options.record,
              "look for another toolVersion, or adapter weights that differ");
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  QuantizeOptions& inputs = options->inputs;
  app.add_option("--record", options->record, "The QuantRevision as JSON: kubectl get qr NAME -o json")
      ->required()
      ->type_name("FILE");
  app.add_option("--model", inputs.model, "The base model that it was made from")
      ->required()
      ->type_name("PATH");
  app.add_option("--adapter", inputs.adapters, "Each LoRA adapter that was merged, in order")
      ->type_name("PATH[=WEIGHT]");
  app.add_option("--calibration", inputs.calibration.path, "The prompts it was calibrated on")
      ->type_name("PATH");
  app.add_option("--redact-names", inputs.calibration.names, "The names that were redacted")
      ->type_name("FILE");
  app.add_option("--imatrix", inputs.request.imatrix, "The importance matrix it was made with")
      ->type_name("FILE");
  app.add_option("--work", options->work, "Where the artifact is made; it is removed afterwards")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--threads", inputs.threads, "0: all cores this process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  return [options] { return reproduce(*options); };
}

}  // namespace

Command reproduce_command() {
  return {"reproduce", "Make a QuantRevision's artifact again from its record, and compare digests",
          configure};
}

}  // namespace stepdown::quant
