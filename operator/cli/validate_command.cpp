#include "operator/cli/validate_command.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <set>

#include <CLI/CLI.hpp>

#include "operator/cli/judgement.h"
#include "operator/cli/validate_report.h"
#include "operator/compat/rules_page.h"

namespace stepdown::cli {
namespace {

struct Options {
  std::vector<std::string> paths;
  std::vector<std::string> inventory;
  std::string output = "text";
};

int validate(const Options& options) {
  std::vector<Located> findings;
  Documents documents = read_documents(options.paths, findings);
  Documents cluster = read_documents(options.inventory);
  if (cluster.nodes) documents.nodes = std::move(cluster.nodes);
  documents.profiles.merge(cluster.profiles);
  documents.revisions.merge(cluster.revisions);
  std::ranges::move(judge(documents), std::back_inserter(findings));
  std::fputs(print_findings(findings, options.output).c_str(), stdout);
  const bool bad = std::ranges::any_of(
      findings, [](const Located& each) { return each.finding.severity == compat::Severity::kError; });
  const std::size_t checked =
      documents.models.size() + documents.revisions.size() + documents.profiles.size();
  const char* verdict = checked > 0 ? "valid" : "nothing to check";
  std::fprintf(options.output == "text" ? stdout : stderr, "%zu checked, %d of other groups left out: %s\n",
               checked, documents.ignored, bad ? "errors" : verdict);
  return bad ? kBadInput : kDone;
}

}  // namespace

Command validate_command() {
  return {"validate", "Check YAML files offline, with the operator's own rules", [](CLI::App& app) {
            auto options = std::make_shared<Options>();
            app.add_option("files", options->paths, "YAML files, folders of them, or - for standard input")
                ->required()
                ->type_name("FILE|DIR|-");
            app.add_option("--inventory", options->inventory,
                           "Nodes, EngineProfiles and QuantRevisions of the cluster: kubectl get "
                           "nodes,engineprofiles -o yaml")
                ->type_name("FILE");
            app.add_option("--output,-o", options->output, "text, json, sarif or github")
                ->check(CLI::IsMember(std::set<std::string>{"text", "json", "sarif", "github"}))
                ->capture_default_str();
            return [options] { return validate(*options); };
          }};
}

Command rules_command() {
  return {"rules", "Print every rule with its reason, an example and the way out, as Markdown",
          [](CLI::App&) {
            return [] {
              std::fputs(compat::rules_page().c_str(), stdout);
              return kDone;
            };
          }};
}

}  // namespace stepdown::cli
