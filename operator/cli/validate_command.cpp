#include "operator/cli/validate_command.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <set>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/api/kinds.h"
#include "operator/api/yaml.h"
#include "operator/cli/validate_report.h"
#include "operator/compat/rules.h"
#include "operator/compat/rules_page.h"
#include "operator/kube/object.h"

namespace stepdown::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct LocatedModel {
  std::string file;
  api::QuantizedModel model;
};

/// What the files themselves tell: models to judge, and revisions, profiles and nodes that they may name.
struct Documents {
  std::vector<LocatedModel> models;
  std::map<std::string, api::QuantRevision> revisions;
  std::map<std::string, api::EngineProfile> profiles;
  std::optional<std::vector<compat::Node>> nodes;
  int ignored = 0;
};

compat::Node read_node(const json& object) {
  compat::Node node{.name = kube::text_at(object, "/metadata/name")};
  const auto read = [&](const char* where, std::map<std::string, std::string>& into) {
    const json& found = kube::value_at(object, where);
    if (!found.is_object()) return;
    for (const auto& [key, value] : found.items()) {
      into[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  };
  read("/metadata/labels", node.labels);
  read("/status/allocatable", node.allocatable);
  return node;
}

/// As the CRD says.
void check_name(const std::string& name) {
  constexpr std::size_t kLongest = 40;
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  const bool fits = name.size() <= kLongest && !name.empty() &&
                    kLetters.find(name.front()) != std::string_view::npos && name.back() != '-' &&
                    name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (fits) return;
  throw InputError("no Service can be named so, and clients use one named as the model",
                   "metadata.name " + name,
                   "begin with a letter, then a-z, 0-9 and -, at most 40: llama-3-1-8b for llama-3.1-8b");
}

void add_document(const json& document, const std::string& file, Documents& into) {
  const std::string kind = kube::text_at(document, "/kind");
  const std::string name = kube::text_at(document, "/metadata/name");
  const std::string version = kube::text_at(document, "/apiVersion");
  if (version == "v1" && kind == "Node") {
    if (!into.nodes) into.nodes.emplace();
    into.nodes->push_back(read_node(document));
  } else if (const json& items = kube::value_at(document, "/items");
             kind.ends_with("List") && items.is_array()) {
    for (const json& item : items) add_document(item, file, into);
  } else if (!version.starts_with(std::string(api::kGroup) + "/")) {
    ++into.ignored;
  } else if (kind == "QuantizedModel") {
    check_name(name);
    into.models.push_back({file, api::parse_quantized_model(document, api::UnknownFields::kRefuse)});
  } else if (kind == "QuantRevision") {
    into.revisions.emplace(name, api::parse_quant_revision(document, api::UnknownFields::kRefuse));
  } else if (kind == "EngineProfile") {
    into.profiles.emplace(name, api::parse_engine_profile(document, api::UnknownFields::kRefuse));
  } else {
    throw InputError("unknown kind " + kind + " of " + api::kGroup, name);
  }
}

/// The manifests of a folder in the order of their names, other files left out.
std::vector<std::string> files_of(const std::string& path) {
  if (path == "-" || !fs::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const std::string type = entry.path().extension().string();
    if (entry.is_regular_file() && (type == ".yaml" || type == ".yml" || type == ".json"))
      files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

std::string text_of(const std::string& file) {
  if (file != "-") return read_file(file);
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

Documents read_documents(const std::vector<std::string>& paths) {
  Documents documents;
  for (const std::string& path : paths) {
    for (const std::string& file : files_of(path)) {
      for (const json& document : api::documents_from_yaml(text_of(file), file)) {
        try {
          add_document(document, file, documents);
        } catch (const InputError& error) {
          throw InputError(error.what(), file);
        }
      }
    }
  }
  return documents;
}

template <class T>
std::optional<T> find(const std::map<std::string, T>& known, const std::string& name) {
  const auto found = known.find(name);
  return found == known.end() ? std::nullopt : std::optional<T>(found->second);
}

std::vector<Located> judge(const Documents& documents) {
  std::vector<Located> findings;
  for (const LocatedModel& each : documents.models) {
    const compat::Inventory inventory{
        .profile = find(documents.profiles, each.model.spec.serving.engine),
        .from_revision = find(documents.revisions, each.model.spec.quantization.from_revision),
        .nodes = documents.nodes};
    for (compat::Finding& finding : compat::judge(each.model.spec, inventory)) {
      findings.push_back({each.file, "QuantizedModel/" + each.model.metadata.name, std::move(finding)});
    }
  }
  return findings;
}

struct Options {
  std::vector<std::string> paths;
  std::vector<std::string> inventory;
  std::string output = "text";
};

int validate(const Options& options) {
  Documents documents = read_documents(options.paths);
  Documents cluster = read_documents(options.inventory);
  if (cluster.nodes) documents.nodes = std::move(cluster.nodes);
  documents.profiles.merge(cluster.profiles);
  documents.revisions.merge(cluster.revisions);
  const std::vector<Located> findings = judge(documents);
  std::fputs(print_findings(findings, options.output).c_str(), stdout);
  const bool bad = std::ranges::any_of(
      findings, [](const Located& each) { return each.finding.severity == compat::Severity::kError; });
  const std::size_t checked =
      documents.models.size() + documents.revisions.size() + documents.profiles.size();
  std::fprintf(options.output == "text" ? stdout : stderr, "%zu checked, %d of other groups left out: %s\n",
               checked, documents.ignored, bad ? "errors" : "valid");
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
