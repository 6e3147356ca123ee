#include "operator/cli/documents.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/api/yaml.h"
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

void add_document(const json& document, const Place& place, Documents& into) {
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
                   into);
    }
  } else if (!version.starts_with(std::string(api::kGroup) + "/")) {
    ++into.ignored;
  } else if (version != std::string(api::kGroup) + "/" + api::kVersion) {
    throw InputError("unknown version " + version, name,
                     std::string("write ") + api::kGroup + "/" + api::kVersion);
  } else if (kind == "QuantizedModel") {
    check_name(name);
    into.models.push_back({place, api::parse_quantized_model(document, api::UnknownFields::kRefuse)});
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
      files.push_back(entry.path().lexically_normal().string());
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

void add_documents(std::string text, const std::string& file, Documents& into) {
  const std::size_t models = into.models.size();
  std::size_t index = 0;
  for (const json& document : api::documents_from_yaml(text, file)) {
    try {
      add_document(document, {file, index++, ""}, into);
    } catch (const InputError& error) {
      throw InputError(error.what(), file);
    }
  }
  if (into.models.size() > models) into.texts.emplace(file, std::move(text));
}

void add_documents(std::string text, const std::string& file, Documents& into, std::vector<Located>& unread) {
  const std::size_t models = into.models.size();
  std::vector<json> documents;
  try {
    documents = api::documents_from_yaml(text, file);
  } catch (const InputError& error) {  // where: file:line
    compat::Finding finding = unreadable(error, "");
    finding.path.clear();
    unread.push_back({file, line_of(error.where()), "", std::move(finding)});
    return;
  }
  for (std::size_t index = 0; index < documents.size(); ++index) {
    try {
      add_document(documents[index], {file, index, ""}, into);
    } catch (const InputError& error) {
      const std::string object =
          kube::text_at(documents[index], "/kind") + "/" + kube::text_at(documents[index], "/metadata/name");
      compat::Finding finding = unreadable(error, "metadata.name");
      const int line = api::YamlLines(text).of(index, finding.path);
      unread.push_back({file, line, object, std::move(finding)});
    }
  }
  if (into.models.size() > models) into.texts.emplace(file, std::move(text));
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
    for (const std::string& file : files_of(path)) add_documents(text_of(file), file, documents, unread);
  }
  return documents;
}

}  // namespace stepdown::cli
