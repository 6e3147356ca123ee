#include "engine/quant/convert_command.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/output_place.h"
#include "engine/base/system_facts.h"
#include "engine/formats/model_file.h"
#include "engine/formats/staging_folder.h"
#include "engine/quant/gguf_quantizer.h"
#include "engine/quant/memory_estimate.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model;
  std::vector<std::string> adapters;
  std::string out;
  std::string report;
  int threads = 0;
};

int convert(const Options& options) {
  const fs::path target = fs::absolute(options.out);
  if (target.extension() != ".gguf") {
    throw InputError("no .gguf file", "--out " + options.out, "name the result, such as model-f16.gguf");
  }
  if (!options.report.empty()) require_place_for(options.report, "--report");
  const auto model = formats::open_model(options.model, formats::parse_adapters(options.adapters));
  const std::uint64_t predicted = peak_with(gguf_working_memory(*model, nullptr));
  formats::StagingFolder staging(target.parent_path());
  const WrittenGguf written =
      write_gguf(*model, plan_f16(*model), staging.path() / "model.gguf", options.threads, "convert");
  staging.publish_file("model.gguf", target);
  if (!options.report.empty()) {
    const nlohmann::json report = {{"digest", "sha256:" + written.digest},
                                   {"path", target.string()},
                                   {"size", written.size},
                                   {"tensors", written.tensors},
                                   {"peakMemoryBytes", peak_memory_bytes()},
                                   {"predictedMemoryBytes", predicted}};
    write_output(options.report, report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
  std::printf("%s  %s\n", written.digest.c_str(), target.c_str());  // as sha256sum prints it
  return kDone;
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--model", options->model, "A Hugging Face folder or a .gguf file")
      ->required()
      ->type_name("PATH");
  app.add_option("--adapter", options->adapters, "A PEFT LoRA adapter to merge, in F32; may be repeated")
      ->type_name("PATH[=WEIGHT]");
  app.add_option("--out", options->out, "The F16 GGUF file to write")->required()->type_name("FILE");
  app.add_option("--report", options->report, "Write the digest, size and memory here (JSON)")
      ->type_name("FILE");
  app.add_option("--threads", options->threads, "0: all cores this process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  return [options] { return convert(*options); };
}

}  // namespace

Command convert_command() {
  return {"convert", "Write any model as one F16 GGUF file", configure};
}

}  // namespace stepdown::quant
