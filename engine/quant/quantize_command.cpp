#include "engine/quant/quantize_command.h"

#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/output_place.h"
#include "engine/base/termination_log.h"
#include "engine/quant/quantize_options.h"
#include "engine/quant/quantize_run.h"

namespace stepdown::quant {
namespace {

int quantize(const QuantizeOptions& options) {
  require_termination_log(options.termination_log);
  if (!options.report.empty()) require_place_for(options.report, "--report");
  if (!options.request.imatrix_out.empty()) require_place_for(options.request.imatrix_out, "--imatrix-out");
  const nlohmann::json report = run_quantize(options);
  // A name may hold any byte.
  const std::string text = report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (!options.report.empty()) write_output(options.report, text);
  nlohmann::json summary = report;
  summary.erase("layers");
  write_termination_log(options.termination_log, summary);
  std::printf("%s", text.c_str());
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
