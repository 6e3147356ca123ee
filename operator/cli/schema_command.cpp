#include "operator/cli/schema_command.h"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "operator/api/yaml.h"
#include "operator/cli/editor_schema.h"
#include "operator/local/supervisor/crds.h"

namespace stepdown::cli {

Command schema_command() {
  return {"schema", "Print the JSON Schema of QuantizedModel, QuantRevision and EngineProfile, for editors",
          [](CLI::App&) {
            return [] {
              std::vector<nlohmann::json> crds;
              for (const std::string_view text : local::embedded_crds()) {
                for (nlohmann::json& crd : api::documents_from_yaml(std::string(text), "crds")) {
                  crds.push_back(std::move(crd));
                }
              }
              std::printf("%s\n", editor_schema(crds).dump(2).c_str());
              return kDone;
            };
          }};
}

}  // namespace stepdown::cli
