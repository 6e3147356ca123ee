#include "operator/cli/documents.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <iostream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/api/yaml.h"
#include "operator/cli/crd_check.h"
#include "operator/kube/object.h"

namespace stepdown::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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
  throw InputError("no Service can be named " + name + ", and clients use one named as the model",
                   "metadata.name",
                   "begin with a letter, then a-z, 0-9 and -, at most 40: llama-3-1-8b for llama-3.1-8b");
}

/// Of all that is wrong with an object; its place tells which.
using Complain = std::function<void(const InputError&, const json& object, const Place&)>;

/// The paths of what could not be read go to `unread`.
template <class Kind>
Kind read_kind(Kind (*parse)(const json&, std::vector<InputError>&), const json& document, const Place& place,
               const Complain& complain, std::vector<std::string>& unread) {
  std::vector<InputError> faults;
  Kind read = parse(document, faults);
  for (const InputError& fault : faults) {
    complain(fault, document, place);
    unread.push_back(fault.where());
  }
  return read;
}

/// Of a kind that no rule judges: what its CRD refuses is told at once.
template <class Kind>
Kind read_record(Kind (*parse)(const json&, std::vector<InputError>&), const json& document,
                 const Place& place, const Complain& complain) {
  std::vector<std::string> unread;
  Kind read = read_kind(parse, document, place, complain, unread);
  if (!unread.empty()) return read;
  for (const InputError& fault : crd_faults(document)) complain(fault, document, place);
  return read;
}

/// No other group has kinds of these names: a slip in apiVersion leaves none of them out.
bool is_ours(const std::string& kind) {
  return kind == "QuantizedModel" || kind == "QuantRevision" || kind == "EngineProfile";
}

void add_document(const json& document, const Place& place, Documents& into, const Complain& complain);

void add_object(const json& document, const Place& place, Documents& into, const Complain& complain) {
  const std::string kind = kube::text_at(document, "/kind");
  const std::string name = kube::text_at(document, "/metadata/name");
  const std::string version = kube::text_at(document, "/apiVersion");
  if (version == "v1" && kind == "Node") {
    if (!into.nodes) into.nodes.emplace();
    into.nodes->push_back(read_node(document));
  } else if (const json& items = kube::value_at(document, "/items");
             kind.ends_with("List") && items.is_array()) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      add_document(items[i], {place.file, place.document, place.prefix + "items[" + std::to_string(i) + "]."},
                   into, complain);
    }
  } else if (!version.starts_with(std::string(api::kGroup) + "/") && !is_ours(kind)) {
    ++into.ignored;
  } else if (version != std::string(api::kGroup) + "/" + api::kVersion) {
    throw InputError(version.empty() ? "no apiVersion" : "unknown version " + version, name,
                     std::string("write ") + api::kGroup + "/" + api::kVersion);
  } else if (kind == "QuantizedModel") {
    LocatedModel found{place, {}};
    try {
      check_name(name);
    } catch (const InputError& error) {
      complain(error, document, place);
    }
    found.model = read_kind(api::parse_quantized_model, document, place, complain, found.unread);
    found.refused = crd_faults(document);
    into.models.push_back(std::move(found));
  } else if (kind == "QuantRevision") {
    into.revisions.emplace(name, read_record(api::parse_quant_revision, document, place, complain));
  } else if (kind == "EngineProfile") {
    into.profiles.emplace(name, read_record(api::parse_engine_profile, document, place, complain));
  } else {
    throw InputError("unknown kind " + kind + " of " + api::kGroup, name);
  }
}

void add_document(const json& document, const Place& place, Documents& into, const Complain& complain) {
  try {
    add_object(document, place, into, complain);
  } catch (const InputError& error) {
    complain(error, document, place);
  }
}

/// The manifests of a folder in the order of their names, other files left out.
std::vector<std::string> files_of(const std::string& path) {
  if (path == "-" || !fs::is_directory(path)) return {path};
  std::vector<std::string> files;
  std::error_code ignored;  // of links that lead nowhere, and of folders that are closed
  fs::recursive_directory_iterator entry(path, fs::directory_options::skip_permission_denied, ignored);
  for (; entry != fs::recursive_directory_iterator(); entry.increment(ignored)) {
    const std::string type = entry->path().extension().string();
    if ((type == ".yaml" || type == ".yml" || type == ".json") && entry->is_regular_file(ignored))
      files.push_back(entry->path().lexically_normal().string());
  }
  std::ranges::sort(files);
  return files;
}

/// Of "file:line", 1 without.
int line_of(const std::string& where) {
  const auto colon = where.rfind(':');
  if (colon == std::string::npos) return 1;
  int line = 0;
  const auto read = std::from_chars(where.data() + colon + 1, where.data() + where.size(), line);
  return read.ec == std::errc() && line > 0 ? line : 1;
}

/// Standard input is another program's output, which did not come; an empty file may be meant.
Located nothing_in(const std::string& path) {
  const bool input = path == "-";
  return {path,
          1,
          "",
          {std::string(compat::kUnreadable), input ? compat::Severity::kError : compat::Severity::kWarning,
           "", "nothing is in it, so nothing was checked",
           input ? "look why the program before it wrote nothing"
                 : "give YAML or JSON manifests, or leave it out"}};
}

std::string text_of(const std::string& file) {
  if (file != "-") return read_file(file);
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

}  // namespace

compat::Finding unreadable(const InputError& error, const std::string& path) {
  std::string message = error.what();
  if (const std::string where = error.where() + ": "; message.starts_with(where))
    message.erase(0, where.size());
  if (const std::string mend = "; " + error.mend(); !error.mend().empty() && message.ends_with(mend)) {
    message.resize(message.size() - mend.size());
  }
  return {std::string(compat::kUnreadable), compat::Severity::kError,
          error.where().empty() ? path : error.where(), std::move(message),
          error.mend().empty() ? "mend it as the message says" : error.mend()};
}

void add_documents(const std::string& text, const std::string& file, Documents& into) {
  const std::size_t models = into.models.size();
  auto lines = std::make_shared<api::YamlLines>();
  std::vector<InputError> broken;
  const std::vector<json> documents = api::documents_from_yaml(text, file, broken, *lines);
  if (!broken.empty()) throw broken.front();
  std::size_t index = 0;
  for (const json& document : documents) {
    add_document(document, {file, index++, ""}, into,
                 [&](const InputError& error, const json&, const Place&) {
                   if (error.where() == file) throw error;  // of a list's item
                   throw InputError(error.what(), file);
                 });
  }
  if (into.models.size() > models) into.lines.emplace(file, std::move(lines));
}

void add_documents(const std::string& text, const std::string& file, Documents& into,
                   std::vector<Located>& unread) {
  const std::size_t models = into.models.size();
  auto lines = std::make_shared<api::YamlLines>();
  std::vector<InputError> broken;
  const std::vector<json> documents = api::documents_from_yaml(text, file, broken, *lines);
  for (const InputError& error : broken) {  // where: file:line
    compat::Finding finding = unreadable(error, "");
    finding.path.clear();
    unread.push_back({file, line_of(error.where()), "", std::move(finding)});
  }
  if (documents.empty()) unread.push_back(nothing_in(file));
  const Complain complain = [&](const InputError& error, const json& object, const Place& place) {
    compat::Finding finding = unreadable(error, "metadata.name");
    const int line = lines->of(place.document, place.prefix + finding.path);
    unread.push_back({file, line,
                      kube::text_at(object, "/kind") + "/" + kube::text_at(object, "/metadata/name"),
                      std::move(finding)});
  };
  for (std::size_t index = 0; index < documents.size(); ++index) {
    if (!documents[index].is_null()) add_document(documents[index], {file, index, ""}, into, complain);
  }
  if (into.models.size() > models) into.lines.emplace(file, std::move(lines));
}

Documents read_documents(const std::vector<std::string>& paths) {
  Documents documents;
  for (const std::string& path : paths) {
    for (const std::string& file : files_of(path)) add_documents(text_of(file), file, documents);
  }
  return documents;
}

Documents read_documents(const std::vector<std::string>& paths, std::vector<Located>& unread) {
  Documents documents;
  for (const std::string& path : paths) {
    const std::vector<std::string> files = files_of(path);
    if (files.empty()) unread.push_back(nothing_in(path));
    for (const std::string& file : files) {
      try {
        add_documents(text_of(file), file, documents, unread);
      } catch (const InputError& error) {  // there is no such file, or it may not be read
        unread.push_back({file, 1, "", unreadable(error, "")});
      }
    }
  }
  return documents;
}

}  // namespace stepdown::cli
