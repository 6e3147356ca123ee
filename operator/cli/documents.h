#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "operator/api/kinds.h"
#include "operator/api/yaml.h"
#include "operator/cli/located.h"
#include "operator/compat/hardware.h"

namespace stepdown::cli {

/// Where an object stands.
struct Place {
  std::string file;
  std::size_t document = 0;  ///< of the file, from 0
  std::string prefix;        ///< of its paths: "items[2]." in a list
};

struct LocatedModel {
  Place place;
  api::QuantizedModel model;
  std::vector<std::string> unread = {};  ///< paths of it that could not be read
  std::vector<InputError> refused = {};  ///< what its CRD refuses beside
};

/// What files tell: models to judge, and revisions, profiles and nodes that they may name.
struct Documents {
  std::vector<LocatedModel> models;
  std::map<std::string, api::QuantRevision> revisions;
  std::map<std::string, api::EngineProfile> profiles;
  std::optional<std::vector<compat::Node>> nodes;
  std::map<std::string, std::shared_ptr<const api::YamlLines>> lines;  ///< of files that hold models
  int ignored = 0;                                                     ///< of other groups
};

/// Takes the documents of one file's text. Throws InputError naming `file`.
void add_documents(const std::string& text, const std::string& file, Documents& into);

/// YAML or JSON files, folders of them, or "-" for standard input. Throws InputError naming the file.
Documents read_documents(const std::vector<std::string>& paths);

/// The same, but all that cannot be read is a finding each in `unread`, and the rest is read all the same; so
/// is a file or folder with nothing in it. Throws InputError for a path that is not there.
Documents read_documents(const std::vector<std::string>& paths, std::vector<Located>& unread);

/// The same of one file's text.
void add_documents(const std::string& text, const std::string& file, Documents& into,
                   std::vector<Located>& unread);

/// A finding SD066 of what cannot be read: at `path` where the error names none.
compat::Finding unreadable(const InputError& error, const std::string& path);

}  // namespace stepdown::cli
