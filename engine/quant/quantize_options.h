#pragma once

#include <string>
#include <vector>

#include "engine/base/termination_log.h"
#include "engine/formats/model_file.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/method.h"

namespace CLI {
class App;
}

namespace stepdown::quant {

/// What `stepdown-engine quantize` is told.
struct QuantizeOptions {
  std::string model;
  std::vector<std::string> adapters;  ///< "PATH" or "PATH=WEIGHT"
  std::string artifacts;
  std::string out;
  std::string method = "gguf";
  MethodRequest request;
  CalibrationRequest calibration;
  std::string report;
  std::string termination_log = kTerminationLog;
  int threads = 0;
};

/// Declares the command line; `options` must outlive the parsing.
void add_options(CLI::App& app, QuantizeOptions& options);

/// Throws InputError when the command line holds an option of other methods, which this one would not read.
void refuse_unread(const CLI::App& app, const Method& method);

}  // namespace stepdown::quant
