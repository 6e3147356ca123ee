#include "engine/quant/quantize_command.h"

#include <cstdio>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/termination_log.h"
#include "engine/quant/quantize_options.h"
#include "engine/quant/quantize_run.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

int quantize(const QuantizeOptions& options) {
  const nlohmann::json report = run_quantize(options);
  nlohmann::json summary = report;
  summary.erase("layers");
  write_termination_log(options.termination_log, summary);
  if (!options.report.empty()) {
    const fs::path file = fs::absolute(options.report);
    fs::create_directories(file.parent_path());
    write_file_atomically(file, report.dump(2) + "\n");
  }
  std::printf("%s\n", report.dump(2).c_str());
  return kDone;
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<QuantizeOptions>();
  add_options(app, *options);
  return [options, &app] {
    refuse_unread(app, find_method(options->method));
    return quantize(*options);
  };
}

}  // namespace

Command quantize_command() {
  return {"quantize", "Write a model in fewer bits a weight, with the report that pins it", configure};
}

}  // namespace stepdown::quant
