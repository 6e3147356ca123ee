#pragma once

#include <string>
#include <vector>

#include "operator/api/quantized_model_spec.h"

namespace stepdown::compat {

/// One field of a spec that names files: mounted where they lie, or fetched first.
struct SpecSource {
  std::string path;         ///< of the field
  std::string source;       ///< may be empty
  std::string revision;     ///< digest that it must have; empty: none is asked for
  std::string secret;       ///< name of the Secret with what fetching takes; empty: none
  std::string secret_path;  ///< of the field that names it
  bool of_base = false;     ///< FP16 is made of it
};

/// All of them, those of the base first.
std::vector<SpecSource> spec_sources(const api::QuantizedModelSpec& spec);

}  // namespace stepdown::compat
