#include "operator/cli/validate_report.h"

#include <nlohmann/json.hpp>

#include "operator/compat/rule.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

constexpr const char* kRulesPage = "https://github.com/stepdown-dev/stepdown/blob/main/docs/rules.md#";

std::string dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string text(const std::vector<Located>& findings) {
  std::string out;
  for (const Located& each : findings) {
    out += each.file + ":" + std::to_string(each.line) + ": " +
           (each.object.empty() ? "" : each.object + ": ") + each.finding.id + " " +
           std::string(compat::severity_name(each.finding.severity)) +
           (each.finding.path.empty() ? "" : " " + each.finding.path) + ": " + each.finding.message +
           "\n    " + each.finding.mend + "\n";
  }
  return out;
}

std::string as_json(const std::vector<Located>& findings) {
  json out = json::array();
  for (const Located& each : findings) {
    out.push_back({{"file", each.file},
                   {"line", each.line},
                   {"object", each.object},
                   {"id", each.finding.id},
                   {"severity", compat::severity_name(each.finding.severity)},
                   {"path", each.finding.path},
                   {"message", each.finding.message},
                   {"mend", each.finding.mend}});
  }
  return dump(out);
}

/// RFC 3986, relative to where the program runs unless the path is absolute.
std::string uri(const std::string& file) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  if (file == "-") return "stdin";
  std::string out = file.starts_with('/') ? "file://" : "";
  for (const char each : file) {
    const auto byte = static_cast<unsigned char>(each);
    if (kPlain.find(each) != std::string_view::npos)
      out += each;
    else
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
  return out;
}

std::string sarif(const std::vector<Located>& findings) {
  json rules = json::array();
  for (const compat::Rule* rule : compat::rule_table()) {
    rules.push_back({{"id", rule->id},
                     {"shortDescription", {{"text", rule->title}}},
                     {"fullDescription", {{"text", rule->why}}},
                     {"help", {{"text", rule->mend}}},
                     {"helpUri", kRulesPage + std::string(rule->id)},
                     {"defaultConfiguration", {{"level", compat::severity_name(rule->severity)}}}});
  }
  json results = json::array();
  for (const Located& each : findings) {
    const json location = {
        {"physicalLocation",
         {{"artifactLocation", {{"uri", uri(each.file)}}}, {"region", {{"startLine", each.line}}}}},
        {"logicalLocations", {{{"fullyQualifiedName", each.object + ":" + each.finding.path}}}}};
    results.push_back({{"ruleId", each.finding.id},
                       {"level", compat::severity_name(each.finding.severity)},
                       {"message", {{"text", each.finding.message + "; " + each.finding.mend}}},
                       {"locations", {location}}});
  }
  const json tool = {{"driver",
                      {{"name", "kubectl-stepdown"},
                       {"informationUri", "https://github.com/stepdown-dev/stepdown"},
                       {"rules", std::move(rules)}}}};
  return dump({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
               {"version", "2.1.0"},
               {"runs", {{{"tool", tool}, {"results", std::move(results)}}}}});
}

/// A workflow command ends at a line's end; its properties end at a comma or colon as well.
std::string escaped(const std::string& text, bool property) {
  std::string out;
  for (const char each : text) {
    if (each == '%')
      out += "%25";
    else if (each == '\r')
      out += "%0D";
    else if (each == '\n')
      out += "%0A";
    else if (property && each == ':')
      out += "%3A";
    else if (property && each == ',')
      out += "%2C";
    else
      out += each;
  }
  return out;
}

std::string github(const std::vector<Located>& findings) {
  std::string out;
  for (const Located& each : findings) {
    const auto severity = each.finding.severity;
    const std::string level(severity == compat::Severity::kNote ? "notice" : compat::severity_name(severity));
    out += "::" + level + " file=" + escaped(each.file, true) + ",line=" + std::to_string(each.line) +
           ",title=" + each.finding.id + "::" +
           escaped(each.object + (each.object.empty() || each.finding.path.empty() ? "" : " ") +
                       each.finding.path + (each.object.empty() && each.finding.path.empty() ? "" : ": ") +
                       each.finding.message + "; " + each.finding.mend,
                   false) +
           "\n";
  }
  return out;
}

}  // namespace

std::string print_findings(const std::vector<Located>& findings, std::string_view format) {
  if (format == "json") return as_json(findings);
  if (format == "sarif") return sarif(findings);
  return format == "github" ? github(findings) : text(findings);
}

}  // namespace stepdown::cli
