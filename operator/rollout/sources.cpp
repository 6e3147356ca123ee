#include "operator/rollout/sources.h"

#include <algorithm>

#include "engine/base/hash.h"
#include "engine/fetch/source.h"
#include "operator/compat/spec_sources.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout::sources {
namespace {

constexpr std::string_view kClaim = "pvc://";
constexpr std::string_view kFolder = "sources/";
constexpr std::size_t kDigits = 16;

std::string key(const std::string& source, const std::string& revision) {
  return sha256_hex(std::to_string(source.size()) + ":" + source + revision).substr(0, kDigits);
}

class List {
 public:
  void add(Remote remote) {
    if (!fetch::is_remote(remote.source)) return;
    const auto same = [&](const Remote& known) {
      return known.source == remote.source && known.revision == remote.revision;
    };
    if (std::ranges::none_of(out, same)) out.push_back(std::move(remote));
  }
  std::vector<Remote> out;
};

}  // namespace

std::vector<Remote> wanted(const api::QuantizedModelSpec& spec, const api::QuantRevision* promoted) {
  const std::vector<compat::SpecSource> named = compat::spec_sources(spec);
  List list;
  const auto add = [&](bool of_base) {
    for (const compat::SpecSource& each : named) {
      if (each.of_base == of_base)
        list.add({each.source, each.revision, each.secret, each.path, each.secret_path, of_base});
    }
  };
  add(/*of_base=*/true);
  if (promoted != nullptr) {
    const api::Artifact& artifact = promoted->spec.artifact;
    const compat::SpecSource& model = named.front();
    list.add(
        {artifact.uri, artifact.digest, model.secret, "spec.quantization.fromRevision", model.secret_path});
  }
  add(/*of_base=*/false);
  return std::move(list.out);
}

std::string place(const std::string& claim, const std::string& source, const std::string& revision) {
  return std::string(kClaim) + claim + "/" + std::string(kFolder) + key(source, revision);
}

std::string folder(const std::string& uri) {
  const auto slash = uri.starts_with(kClaim) ? uri.find('/', kClaim.size()) : std::string::npos;
  if (slash == std::string::npos || uri.compare(slash + 1, kFolder.size(), kFolder) != 0) return "";
  const std::string out = uri.substr(slash + 1, kFolder.size() + kDigits);
  const std::string digits = out.substr(kFolder.size());
  const std::size_t end = slash + 1 + out.size();
  const bool whole = digits.size() == kDigits && (end == uri.size() || uri[end] == '/');
  return whole && digits.find_first_not_of("0123456789abcdef") == std::string::npos ? out : "";
}

std::vector<std::string> folders_of(const api::QuantRevisionSpec& revision) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& source, const std::string& pin) {
    if (fetch::is_remote(source)) out.push_back(std::string(kFolder) + key(source, pin));
  };
  add(revision.base.uri, revision.base.digest);
  add(revision.base.uri, "");
  add(revision.artifact.uri, revision.artifact.digest);
  return out;
}

const api::SourceStatus* fetched(const api::QuantizedModel& model, const std::string& source,
                                 const std::string& revision) {
  const auto& rows = model.status.sources;
  const auto& facts = model.status.model;
  const std::string on = std::string(kClaim) + names::claim(model) + "/";
  const auto is_there = [&](const api::SourceStatus& row) {
    return row.source == source && row.state == api::source_state::kFetched && row.place.starts_with(on);
  };
  const auto exact = std::ranges::find_if(
      rows, [&](const api::SourceStatus& row) { return is_there(row) && row.revision == revision; });
  if (exact != rows.end()) return &*exact;
  const auto will_do = std::ranges::find_if(rows, [&](const api::SourceStatus& row) {
    const bool pinned_since = facts && facts->place == row.uri() && facts->digest == revision;
    return is_there(row) && (revision.empty() || pinned_since);
  });
  return will_do == rows.end() ? nullptr : &*will_do;
}

std::string mounted(const api::QuantizedModel& model, const std::string& source,
                    const std::string& revision) {
  if (!fetch::is_remote(source)) return source;
  const api::SourceStatus* row = fetched(model, source, revision);
  return row != nullptr ? row->uri() : place(names::claim(model), source, revision);
}

std::string base(const api::QuantizedModel& model) {
  return mounted(model, model.spec.model.source, model.spec.model.revision);
}

std::string base_copy(const api::QuantizedModel& model) {
  return fetch::is_remote(model.spec.model.source) ? base(model) : "";
}

}  // namespace stepdown::rollout::sources
