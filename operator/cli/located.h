#pragma once

#include <string>

#include "operator/compat/finding.h"

namespace stepdown::cli {

/// A finding, and where its object stands.
struct Located {
  std::string file;
  int line = 1;
  std::string object;  ///< "QuantizedModel/name"; empty: the file as a whole
  compat::Finding finding;
};

}  // namespace stepdown::cli
