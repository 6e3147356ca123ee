#include "engine/fetch/journal.h"

#include <array>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"

namespace stepdown::fetch {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::array<std::string_view, 3> kPackings = {"plain", "tar", "tar+gzip"};

}  // namespace

json to_json(const Journal& journal) {
  json files = json::array();
  for (const RemoteFile& file : journal.listing.files) {
    files.push_back({{"path", file.path},
                     {"size", file.size},
                     {"checksum", {{"kind", name_of(file.checksum.kind)}, {"hex", file.checksum.hex}}},
                     {"location", file.location},
                     {"version", file.version},
                     {"packing", kPackings[static_cast<std::size_t>(file.packing)]},
                     {"below", file.below}});
  }
  return {{"version", kVersion},
          {"source", journal.source},
          {"asked", journal.revision},
          {"resolved", journal.listing.resolved},
          {"revision", journal.listing.revision},
          {"files", std::move(files)}};
}

std::optional<Journal> read_journal(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    const json document = json::parse(read_file(path));
    if (document.at("version") != kVersion) return std::nullopt;
    Journal out{
        .source = document.at("source"),
        .revision = document.at("asked"),
        .listing = {.resolved = document.at("resolved"), .revision = document.at("revision"), .files = {}}};
    for (const json& each : document.at("files")) {
      RemoteFile file{.path = each.at("path"), .size = each.at("size")};
      file.checksum = {checksum_kind(each.at("checksum").at("kind").get<std::string>()),
                       each.at("checksum").at("hex")};
      file.location = each.at("location");
      file.version = each.at("version");
      file.below = each.at("below");
      for (std::size_t i = 0; i < kPackings.size(); ++i) {
        if (each.at("packing") == kPackings[i]) file.packing = static_cast<Packing>(i);
      }
      out.listing.files.push_back(std::move(file));
    }
    return out;
  } catch (const json::exception&) {
    return std::nullopt;  // what was written for it is fetched again
  }
}

}  // namespace stepdown::fetch
