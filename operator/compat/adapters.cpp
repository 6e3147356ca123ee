#include "operator/compat/adapters.h"

#include "engine/base/hash.h"

namespace stepdown::compat {

std::string adapters_text(const api::ModelSpec& model) {
  std::string out;
  for (const api::Adapter& each : model.adapters)
    out += (out.empty() ? "" : ", ") + each.source + " x " + std::to_string(each.weight);
  return out.empty() ? "none" : out;
}

std::string adapters_digest(const std::vector<std::string>& digests) {
  if (digests.empty()) return "";
  std::string all;
  for (const std::string& each : digests) all += each + "\n";
  return "sha256:" + sha256_hex(all);
}

std::string merged_adapters_digest(const std::vector<api::MergedAdapter>& merged) {
  std::vector<std::string> digests;
  for (const api::MergedAdapter& each : merged) digests.push_back(each.digest);
  return adapters_digest(digests);
}

}  // namespace stepdown::compat
