#include "operator/cli/diff_command.h"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "operator/api/kinds.h"
#include "operator/cli/model_target.h"
#include "operator/cli/revision_diff.h"

namespace stepdown::cli {
namespace {

struct Names {
  std::string before;
  std::string after;
};

int diff(const ClusterTarget& target, const Names& names) {
  const Connection connection = target.connect();
  const auto revision = [&](const std::string& name) {
    return api::parse_quant_revision(get_revision(connection, name), api::UnknownFields::kIgnore);
  };
  for (const std::string& line : revision_diff(revision(names.before), revision(names.after))) {
    std::puts(line.c_str());
  }
  return kDone;
}

}  // namespace

Command diff_command() {
  return {"diff", "What two QuantRevisions differ in: how they were made, size, every score",
          [](CLI::App& app) {
            const auto names = std::make_shared<Names>();
            app.add_option("a", names->before, "A QuantRevision (kubectl get qr)")->required();
            app.add_option("b", names->after, "Another; figures are B against A")->required();
            const auto target = add_cluster_target(app);
            return [=] { return diff(*target, *names); };
          }};
}

}  // namespace stepdown::cli
