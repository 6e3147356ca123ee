#include "operator/cli/validate_command.h"

#include <cstdio>
#include <map>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/api/kinds.h"
#include "operator/api/yaml.h"
#include "operator/compat/rules.h"
#include "operator/kube/object.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

/// What the files themselves tell: models to judge, and revisions and profiles that they may name.
struct Documents {
  std::vector<api::QuantizedModel> models;
  std::map<std::string, api::QuantRevision> revisions;
  std::map<std::string, api::EngineProfile> profiles;
  int ignored = 0;
};

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

void add_document(const json& document, Documents& into) {
  const std::string kind = kube::text_at(document, "/kind");
  const std::string name = kube::text_at(document, "/metadata/name");
  if (!kube::text_at(document, "/apiVersion").starts_with(std::string(api::kGroup) + "/")) {
    ++into.ignored;
  } else if (kind == "QuantizedModel") {
    check_name(name);
    into.models.push_back(api::parse_quantized_model(document, api::UnknownFields::kRefuse));
  } else if (kind == "QuantRevision") {
    into.revisions.emplace(name, api::parse_quant_revision(document, api::UnknownFields::kRefuse));
  } else if (kind == "EngineProfile") {
    into.profiles.emplace(name, api::parse_engine_profile(document, api::UnknownFields::kRefuse));
  } else {
    throw InputError("unknown kind " + kind + " of " + api::kGroup, name);
  }
}

template <class T>
std::optional<T> find(const std::map<std::string, T>& known, const std::string& name) {
  const auto found = known.find(name);
  return found == known.end() ? std::nullopt : std::optional<T>(found->second);
}

/// Prints the findings of one model; whether they hold errors.
bool judge(const api::QuantizedModel& model, const Documents& documents) {
  compat::Inventory inventory;
  inventory.profile = find(documents.profiles, model.spec.serving.engine);
  inventory.from_revision = find(documents.revisions, model.spec.quantization.from_revision);
  const auto findings = compat::judge(model.spec, inventory);
  for (const compat::Finding& finding : findings) {
    const char* severity = finding.severity == compat::Severity::kError ? "error" : "warning";
    std::printf("%s: %s %s %s: %s\n    %s\n", model.metadata.name.c_str(), finding.id.c_str(), severity,
                finding.path.c_str(), finding.message.c_str(), finding.mend.c_str());
  }
  return compat::has_errors(findings);
}

int validate(const std::vector<std::string>& files) {
  Documents documents;
  for (const std::string& file : files) {
    for (const json& document : api::documents_from_yaml(read_file(file), file)) {
      try {
        add_document(document, documents);
      } catch (const InputError& error) {
        throw InputError(error.what(), file);
      }
    }
  }
  bool bad = false;
  for (const api::QuantizedModel& model : documents.models) bad = judge(model, documents) || bad;
  const std::size_t checked =
      documents.models.size() + documents.revisions.size() + documents.profiles.size();
  std::printf("%zu checked, %d of other groups left out: %s\n", checked, documents.ignored,
              bad ? "errors" : "valid");
  return bad ? kBadInput : kDone;
}

}  // namespace

Command validate_command() {
  return {"validate", "Check YAML files offline, with the operator's own rules", [](CLI::App& app) {
            auto files = std::make_shared<std::vector<std::string>>();
            app.add_option("files", *files, "YAML files")
                ->required()
                ->check(CLI::ExistingFile)
                ->type_name("FILE");
            return [files] { return validate(*files); };
          }};
}

}  // namespace stepdown::cli
