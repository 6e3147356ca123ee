#include "engine/quant/bench_quantize_command.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/system_facts.h"
#include "engine/formats/model_file.h"
#include "engine/formats/staging_folder.h"
#include "engine/quant/quantize_options.h"
#include "engine/quant/quantize_run.h"

namespace stepdown::quant {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> methods = {"gguf/Q4_K_M"};
  std::string calibration;
  std::string work = std::filesystem::temp_directory_path();
  std::string json;
  int samples = 64;
  int repeats = 3;
  int threads = 0;
};

struct Figures {
  double seconds = 0;  ///< median
  nlohmann::json report;
};

/// "gguf/Q4_K_M", "gptq/3": what status calls a candidate.
QuantizeOptions options_of(const std::string& method, const Options& options) {
  QuantizeOptions one;
  const std::size_t slash = method.find('/');
  one.method = method.substr(0, slash);
  const std::string detail = slash == std::string::npos ? "" : method.substr(slash + 1);
  if (one.method == "gguf") {
    one.request.preset = detail;
  } else if (!detail.empty()) {
    one.request.weights.bits = std::atoi(detail.c_str());
  }
  one.model = options.model;
  one.calibration.path = options.calibration;
  one.calibration.samples = options.samples;
  one.threads = options.threads;
  return one;
}

Figures measure(const std::string& method, const Options& options) {
  Figures figures;
  std::vector<double> seconds;
  for (int i = 0; i < options.repeats; ++i) {
    const formats::StagingFolder folder(options.work);
    QuantizeOptions one = options_of(method, options);
    one.artifacts = folder.path();
    figures.report = run_quantize(one);
    seconds.push_back(figures.report["methodSeconds"].get<double>());
  }
  std::ranges::sort(seconds);
  figures.seconds = seconds[seconds.size() / 2];
  return figures;
}

int bench(const Options& options) {
  std::int64_t layers = 0;
  double megabytes = 0;
  {
    const auto model = formats::open_model(options.model);
    layers = model->config().layers;
    for (const TensorView& tensor : model->tensors())
      megabytes += static_cast<double>(tensor.data.size()) / 1e6;
  }
  nlohmann::json rows = nlohmann::json::array();
  std::printf("%s, %lld layers, %.1f MB of weights, %s\n%-16s %10s %14s %10s\n", options.model.c_str(),
              static_cast<long long>(layers), megabytes, cpu_name().c_str(), "method", "seconds", "s a layer",
              "MB/s");
  for (const std::string& method : options.methods) {
    const Figures figures = measure(method, options);
    std::printf("%-16s %10.3f %14.4f %10.1f\n", method.c_str(), figures.seconds,
                figures.seconds / static_cast<double>(layers), megabytes / figures.seconds);
    rows.push_back({{"method", method},
                    {"seconds", figures.seconds},
                    {"secondsALayer", figures.seconds / static_cast<double>(layers)},
                    {"digest", figures.report["digest"]}});
  }
  if (!options.json.empty()) {
    const nlohmann::json all = {{"model", options.model},     {"layers", layers},
                                {"threads", options.threads}, {"cpu", cpu_name()},
                                {"repeats", options.repeats}, {"rows", rows}};
    write_file_atomically(options.json, all.dump(2) + "\n");
  }
  return kDone;
}

}  // namespace

Command bench_quantize_command() {
  return {"quantize", "Measure how long methods of quantization take",
          [](CLI::App& app) -> std::function<int()> {
            const auto options = std::make_shared<Options>();
            app.add_option("--model", options->model, "The F16, BF16 or F32 model")
                ->required()
                ->type_name("PATH");
            app.add_option("--methods", options->methods, "Such as gguf/Q4_K_M,gptq/4,awq")
                ->delimiter(',')
                ->capture_default_str();
            app.add_option("--calibration", options->calibration, "Prompts, for methods that need some")
                ->type_name("PATH");
            app.add_option("--samples", options->samples, "How many of them")->capture_default_str();
            app.add_option("--repeats", options->repeats, "Runs of each; the median counts")
                ->check(CLI::Range(1, 1000))
                ->capture_default_str();
            app.add_option("--work", options->work, "Where results are made; they are removed")
                ->type_name("DIR")
                ->capture_default_str();
            app.add_option("--json", options->json, "Write the figures to this file")->type_name("FILE");
            app.add_option("--threads", options->threads, "0: all cores this process may use")
                ->check(CLI::Range(0, 1024))
                ->capture_default_str();
            return [options] { return bench(*options); };
          }};
}

}  // namespace stepdown::quant
