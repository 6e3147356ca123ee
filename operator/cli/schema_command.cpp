#include "operator/cli/schema_command.h"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "operator/cli/editor_schema.h"
#include "operator/local/supervisor/crds.h"

namespace stepdown::cli {

Command schema_command() {
  return {"schema", "Print the JSON Schema of QuantizedModel, QuantRevision and EngineProfile, for editors",
          [](CLI::App&) {
            return [] {
              std::printf("%s\n", editor_schema(local::crd_documents()).dump(2).c_str());
              return kDone;
            };
          }};
}

}  // namespace stepdown::cli
