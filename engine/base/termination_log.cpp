#include "engine/base/termination_log.h"

#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/file_error.h"

namespace stepdown {

constexpr std::size_t kMaxBytes = 4096;  // Kubernetes' limit for one container

namespace {

bool is_absent_default(const std::filesystem::path& path) {
  return path == kTerminationLog && !std::filesystem::exists(path);
}

}  // namespace

void require_termination_log(const std::filesystem::path& path) {
  if (is_absent_default(path)) return;
  errno = 0;
  if (!std::ofstream(path, std::ios::binary | std::ios::app)) {
    throw InputError("cannot be written to: " + std::generic_category().message(errno),
                     "--termination-log " + path.string(),
                     "name another place, or let this user write there");
  }
}

void write_termination_log(const std::filesystem::path& path, const nlohmann::json& summary) {
  if (is_absent_default(path)) return;
  const std::string text = summary.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > kMaxBytes) {
    throw Error("summary of " + std::to_string(text.size()) + " bytes; at most 4096 are kept", path.string());
  }
  errno = 0;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out) throw_file_error("write", path);
}

}  // namespace stepdown
