#include "operator/cli/judgement.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "engine/formats/header_facts.h"
#include "operator/api/yaml.h"
#include "operator/compat/header_model.h"
#include "operator/compat/rules.h"

namespace stepdown::cli {
namespace {

namespace fs = std::filesystem;

template <class T>
std::optional<T> find(const std::map<std::string, T>& known, const std::string& name) {
  const auto found = known.find(name);
  return found == known.end() ? std::nullopt : std::optional<T>(found->second);
}

/// Of a finding about something that could not be read, or that holds it.
bool hidden(const std::vector<std::string>& unread, const std::string& path) {
  const auto holds = [](const std::string& whole, const std::string& part) {
    return part.starts_with(whole) &&
           (part.size() == whole.size() || part[whole.size()] == '.' || part[whole.size()] == '[');
  };
  return std::ranges::any_of(unread,
                             [&](const std::string& each) { return holds(path, each) || holds(each, path); });
}

/// Headers of sources that lie on this machine, each read once.
class Headers {
 public:
  std::optional<api::ModelFacts> of(const std::string& source) {
    constexpr std::string_view kFile = "file://";
    if (!source.starts_with(kFile)) return std::nullopt;
    const auto [row, added] = known_.try_emplace(source);
    const fs::path path = source.substr(kFile.size());
    std::error_code none;
    if (added && (fs::is_regular_file(path, none) || fs::is_directory(path, none))) {
      row->second = compat::facts_of(formats::read_header_facts(path));
    }
    return row->second;
  }

 private:
  std::map<std::string, std::optional<api::ModelFacts>> known_;
};

}  // namespace

std::vector<Located> judge(const Documents& documents) {
  std::vector<Located> findings;
  Headers headers;
  for (const LocatedModel& each : documents.models) {
    const api::YamlLines& lines = *documents.lines.at(each.place.file);
    const std::string object = "QuantizedModel/" + each.model.metadata.name;
    const auto add = [&](compat::Finding finding) {
      const int line = lines.of(each.place.document, each.place.prefix + finding.path);
      findings.push_back({each.place.file, line, object, std::move(finding)});
    };
    std::optional<api::ModelFacts> facts;
    try {
      facts = headers.of(each.model.spec.model.source);
    } catch (const InputError& error) {
      compat::Finding finding = unreadable(error, "");
      finding.message = (finding.path.empty() ? "" : finding.path + ": ") + finding.message;
      finding.path = "spec.model.source";
      add(std::move(finding));
    }
    const compat::Inventory inventory{
        .model = std::move(facts),
        .profile = find(documents.profiles, each.model.spec.serving.engine),
        .from_revision = find(documents.revisions, each.model.spec.quantization.from_revision),
        .nodes = documents.nodes};
    std::vector<std::string> told = each.unread;
    for (compat::Finding& finding : compat::judge(each.model.spec, inventory)) {
      if (hidden(each.unread, finding.path)) continue;
      if (finding.severity == compat::Severity::kError) told.push_back(finding.path);
      add(std::move(finding));
    }
    for (const InputError& refusal : each.refused) {
      if (!hidden(told, refusal.where())) add(unreadable(refusal, ""));
    }
  }
  return findings;
}

}  // namespace stepdown::cli
