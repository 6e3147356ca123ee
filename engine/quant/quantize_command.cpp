#include "engine/quant/quantize_command.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/version.h"
#include "engine/formats/model_file.h"
#include "engine/formats/staging_folder.h"
#include "engine/formats/termination_log.h"
#include "engine/quant/method.h"
#include "engine/quant/peak_memory.h"
#include "engine/quant/preset.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model;
  std::string artifacts;
  std::string out;
  std::string method = "gguf";
  MethodRequest request;
  int samples = 0;
  std::vector<std::string> adapters;
  std::string report;
  std::string termination_log = formats::kTerminationLog;
  int threads = 0;
};

void check(const Options& options) {
  if (options.artifacts.empty() == options.out.empty()) {
    throw InputError("exactly one result is needed", "command line",
                     "give either --artifacts DIR or --out PATH");
  }
  if (!options.adapters.empty()) {
    throw InputError("adapters cannot be merged", "--adapter",
                     "merge them into the checkpoint first and leave this out");
  }
}

/// --out names a file, or a folder to put the method's file into.
fs::path out_file(const Options& options, const Method& method) {
  fs::path target = options.out;
  if (!target.has_extension() || fs::is_directory(target)) target /= method.file_name;
  return fs::absolute(target);
}

int quantize(const Options& options) {
  const auto began = std::chrono::steady_clock::now();
  check(options);
  const Method& method = find_method(options.method);
  const auto model = formats::open_model(options.model);

  const fs::path target = options.artifacts.empty() ? out_file(options, method) : fs::path();
  formats::StagingFolder staging(options.artifacts.empty() ? target.parent_path()
                                                           : fs::path(options.artifacts));
  const MethodResult result = method.run(*model, options.request, staging.path(), options.threads);
  const std::string base = artifact_digest(options.model);
  fs::path path = target;
  if (options.artifacts.empty()) {
    staging.publish_file(std::string(method.file_name), target);
  } else {
    const fs::path folder = fs::path(options.artifacts) / result.written.digest;
    staging.publish_folder(folder);
    path = folder / method.file_name;
  }

  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
  const nlohmann::json report = {{"digest", "sha256:" + result.written.digest},
                                 {"path", path.string()},
                                 {"size", result.written.size},
                                 {"method", method.name},
                                 {"preset", result.preset},
                                 {"bits", result.bits},
                                 {"base", "sha256:" + base},
                                 {"toolVersion", "stepdown-engine " + std::string(kVersion)},
                                 {"peakMemoryBytes", peak_memory_bytes()},
                                 {"seconds", seconds.count()},
                                 {"tensors", result.written.tensors},
                                 {"calibration", nullptr}};
  if (!options.report.empty()) {
    const fs::path file = fs::absolute(options.report);
    fs::create_directories(file.parent_path());
    write_file_atomically(file, report.dump(2) + "\n");
  }
  formats::write_termination_log(options.termination_log, report);
  std::printf("%s\n", report.dump(2).c_str());
  return kDone;
}

std::string preset_names() {
  std::string names;
  for (const Preset& preset : presets()) names += (names.empty() ? "" : "|") + std::string(preset.name);
  return names;
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--model", options->model,
                 "The F16, BF16 or F32 model: a .gguf file or a Hugging Face folder")
      ->required()
      ->type_name("PATH");
  app.add_option("--artifacts", options->artifacts, "Store the result as DIR/<sha256>/model.gguf")
      ->type_name("DIR");
  app.add_option("--out", options->out, "Store the result as this file, or in this folder")
      ->type_name("PATH");
  app.add_option("--method", options->method, "How to quantize")->type_name("gguf")->capture_default_str();
  app.add_option("--preset", options->request.preset, "Mix of types, smallest last")
      ->type_name(preset_names());
  app.add_option("--bits", options->request.bits, "Bits a weight, for methods that let one choose");
  app.add_option("--group-size", options->request.group_size,
                 "Weights a scale, for methods that let one choose");
  app.add_option("--calibration", options->request.calibration, "Sample texts, for methods that use them")
      ->type_name("FILE");
  app.add_option("--imatrix", options->request.imatrix,
                 "An importance matrix that llama-imatrix made: inputs that are large count more")
      ->type_name("FILE");
  app.add_option("--samples", options->samples, "How many of the sample texts to use");
  app.add_option("--adapter", options->adapters, "A LoRA adapter to merge (not supported yet)")
      ->type_name("PATH");
  app.add_option("--report", options->report, "Write what was done as JSON")->type_name("FILE");
  app.add_option("--termination-log", options->termination_log, "Where a Kubernetes Job leaves its summary")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_option("--threads", options->threads, "0: all cores this process may use")->capture_default_str();
  return [options] { return quantize(*options); };
}

}  // namespace

Command quantize_command() {
  return {"quantize", "Write a model in fewer bits a weight, with the report that pins it", configure};
}

}  // namespace stepdown::quant
