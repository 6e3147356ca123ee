#include "engine/fetch/sources/hub_tree.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 8> kOfModels = {".safetensors", ".gguf",  ".json",  ".jsonl",
                                                       ".txt",         ".model", ".jinja", ".tiktoken"};

bool ends_with_any(const std::string& path) {
  return std::ranges::any_of(kOfModels, [&](std::string_view end) { return path.ends_with(end); });
}

bool is_name(std::string_view text) {
  constexpr std::size_t kLongest = 96;
  return !text.empty() && text.size() <= kLongest && text.front() != '.' && text.front() != '-' &&
         std::ranges::all_of(text, [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
         });
}

std::string text_at(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool is_hex(const std::string& text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

HubName parse_hub_name(std::string_view path, const std::string& where) {
  constexpr std::string_view kDatasets = "datasets/", kModels = "models/";
  HubName out;
  if (path.starts_with(kDatasets)) {
    out.dataset = true;
    path.remove_prefix(kDatasets.size());
  } else if (path.starts_with(kModels)) {
    path.remove_prefix(kModels.size());
  }
  const auto slash = path.find('/');
  if (slash == std::string_view::npos)
    throw InputError("not owner/name", where, "such as hf://Qwen/Qwen3-0.6B");
  const std::string_view owner = path.substr(0, slash);
  path.remove_prefix(slash + 1);
  const auto end = std::min(path.find_first_of("@/"), path.size());
  const std::string_view name = path.substr(0, end);
  path.remove_prefix(end);
  if (!is_name(owner) || !is_name(name))
    throw InputError("not owner/name", where, "such as hf://Qwen/Qwen3-0.6B");
  out.repository = std::string(owner) + "/" + std::string(name);
  if (path.starts_with('@')) {
    // Pull requests are named refs/pr/3.
    constexpr std::string_view kPullRequest = "refs/pr/";
    const std::size_t from = path.substr(1).starts_with(kPullRequest) ? 1 + kPullRequest.size() : 1;
    const auto stop = std::min(path.find('/', from), path.size());
    out.revision = std::string(path.substr(1, stop - 1));
    if (out.revision.empty()) throw InputError("an empty revision", where);
    path.remove_prefix(stop);
  }
  if (path.starts_with('/')) path.remove_prefix(1);
  out.path = std::string(path);
  if (!out.path.empty() && !is_safe_path(out.path))
    throw InputError("not a path in a repository: " + out.path, where);
  return out;
}

std::vector<RemoteFile> read_hub_tree(const std::string& json_text, const std::string& where) {
  const json tree = json::parse(json_text, nullptr, /*allow_exceptions=*/false);
  if (!tree.is_array()) throw InputError("the Hub's answer is no list of files", where, "check the endpoint");
  std::vector<RemoteFile> files;
  for (const json& entry : tree) {
    if (!entry.is_object() || text_at(entry, "type") != "file") continue;
    RemoteFile file{.path = text_at(entry, "path")};
    const auto lfs = entry.find("lfs");
    const bool large = lfs != entry.end() && lfs->is_object();
    const json& holder = large ? *lfs : entry;
    const auto size = holder.find("size");
    if (size == holder.end() || !size->is_number_unsigned()) {
      throw InputError("a file without a size: " + file.path, where);
    }
    file.size = size->get<std::uint64_t>();
    file.location = file.path;
    constexpr std::size_t kSha256Digits = 64, kSha1Digits = 40;
    const std::string id = text_at(holder, "oid");
    if (large) {
      if (!is_hex(id, kSha256Digits)) throw InputError("a large file without a sha256: " + file.path, where);
      file.checksum = {ChecksumKind::kSha256, id};
    } else if (is_hex(id, kSha1Digits)) {
      file.checksum = {ChecksumKind::kGitBlob, id};
    }
    files.push_back(std::move(file));
  }
  return files;
}

std::string next_link(std::string_view header) {
  while (!header.empty()) {
    const auto open = header.find('<');
    const auto close = header.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return "";
    const std::string_view target = header.substr(open + 1, close - open - 1);
    header.remove_prefix(close + 1);
    const auto end = std::min(header.find('<'), header.size());
    if (header.substr(0, end).find("rel=\"next\"") != std::string_view::npos) return std::string(target);
    header.remove_prefix(end);
  }
  return "";
}

std::vector<RemoteFile> needed_of(std::vector<RemoteFile> files, const std::string& where) {
  const bool safetensors = std::ranges::any_of(files, [](const RemoteFile& file) {
    return file.path.ends_with(".safetensors") && file.path.find('/') == std::string::npos;
  });
  std::erase_if(files, [&](const RemoteFile& file) {
    if (!is_safe_path(file.path) || !ends_with_any(file.path)) return true;
    // Beside a whole model: its original shards, ONNX and GGUF forms of it.
    const bool in_folder = file.path.find('/') != std::string::npos;
    return safetensors && (in_folder || file.path.ends_with(".gguf"));
  });
  // A file may come in parts ("-00002-of-00003.gguf"); several whole ones are several models.
  const auto is_whole = [](const RemoteFile& file) {
    return file.path.ends_with(".gguf") && file.path.find("-of-") == std::string::npos;
  };
  const auto whole = std::ranges::count_if(files, is_whole);
  if (whole > 1) {
    throw InputError("the repository holds " + std::to_string(whole) + " GGUF files", where,
                     "name one: hf://owner/name/" + std::ranges::find_if(files, is_whole)->path);
  }
  return files;
}

}  // namespace stepdown::fetch
