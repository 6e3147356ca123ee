#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/fetch/remote.h"

namespace stepdown::fetch {

/// hf://[datasets/]OWNER/NAME[@REVISION][/PATH]
struct HubName {
  bool dataset = false;
  std::string repository;  ///< "owner/name"
  std::string revision;    ///< as given; empty: main
  std::string path;        ///< of a folder or file; empty: all
};
/// Throws InputError.
HubName parse_hub_name(std::string_view path, const std::string& where);

/// One page of the Hub's tree API. Throws InputError for what is none.
std::vector<RemoteFile> read_hub_tree(const std::string& json_text, const std::string& where);

/// The URL behind rel="next" in a Link header; empty: none.
std::string next_link(std::string_view header);

/// What is needed of a repository to run its model: not the weights in other frameworks' files where
/// safetensors are there, no pictures, no scripts. Throws InputError where that is several models.
std::vector<RemoteFile> needed_of(std::vector<RemoteFile> files, const std::string& where);

}  // namespace stepdown::fetch
