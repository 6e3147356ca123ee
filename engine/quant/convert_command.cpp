#include "engine/quant/convert_command.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "engine/base/error.h"
#include "engine/formats/model_file.h"
#include "engine/formats/staging_folder.h"
#include "engine/quant/gguf_quantizer.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model;
  std::vector<std::string> adapters;
  std::string out;
  int threads = 0;
};

int convert(const Options& options) {
  const fs::path target = fs::absolute(options.out);
  if (target.extension() != ".gguf") {
    throw InputError("no .gguf file", "--out " + options.out, "name the result, such as model-f16.gguf");
  }
  const auto model = formats::open_model(options.model, formats::parse_adapters(options.adapters));
  formats::StagingFolder staging(target.parent_path());
  const WrittenGguf written =
      write_gguf(*model, plan_f16(*model), staging.path() / "model.gguf", options.threads, "convert");
  staging.publish_file("model.gguf", target);
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
