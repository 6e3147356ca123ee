#include "engine/fetch/remote.h"

#include <array>
#include <set>

#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

constexpr std::size_t kMostFiles = 20'000;
constexpr std::size_t kLongestPath = 1024;
constexpr std::size_t kLongestName = 255;

struct Kind {
  std::string_view name;
  std::unique_ptr<Remote> (*open)(const Source&, const Tools&);
};
constexpr std::array<Kind, 3> kKinds = {{
    {"oci", open_oci},
    {"s3", open_s3},
    {"hf", open_hugging_face},
}};

}  // namespace

std::unique_ptr<Remote> open_remote(const Source& source, const Tools& tools) {
  for (const Kind& kind : kKinds) {
    if (kind.name == source.kind) return kind.open(source, tools);
  }
  throw InputError("nothing fetches this kind of source", source.text);
}

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kLongestPath) return false;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f' || c == '\\') return false;
  }
  while (true) {
    const auto slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (name.empty() || name.size() > kLongestName || name.starts_with('.')) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

void check_listing(const Listing& listing, const std::string& where) {
  if (listing.files.size() > kMostFiles) {
    throw InputError("more than 20,000 files", where, "name the folder that holds the model");
  }
  std::set<std::string> files, folders;
  for (const RemoteFile& file : listing.files) {
    if (file.packing != Packing::kPlain) continue;
    if (!is_safe_path(file.path))
      throw InputError("a file's name leads out of the model: " + file.path, where);
    if (!files.insert(file.path).second) throw InputError("two files are named " + file.path, where);
    for (auto slash = file.path.find('/'); slash != std::string::npos;
         slash = file.path.find('/', slash + 1)) {
      folders.insert(file.path.substr(0, slash));
    }
  }
  for (const std::string& file : files) {
    if (folders.contains(file)) throw InputError("both a file and a folder are named " + file, where);
  }
}

}  // namespace stepdown::fetch
