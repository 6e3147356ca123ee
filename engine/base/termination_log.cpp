#include "engine/base/termination_log.h"

#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace stepdown {

constexpr std::size_t kMaxBytes = 4096;  // Kubernetes' limit for one container

void write_termination_log(const std::filesystem::path& path, const nlohmann::json& summary) {
  if (path == kTerminationLog && !std::filesystem::exists(path)) return;
  const std::string text = summary.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > kMaxBytes) {
    throw Error("summary of " + std::to_string(text.size()) + " bytes; at most 4096 are kept", path.string());
  }
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out) throw Error("cannot write", path.string(), "give a writable --termination-log");
}

}  // namespace stepdown
