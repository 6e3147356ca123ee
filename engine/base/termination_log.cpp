#include "engine/base/termination_log.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/base/error.h"

namespace stepdown {

void write_termination_log(std::string_view path, std::string_view message) {
  constexpr std::size_t kKubeletLimit = 4096;
  const std::filesystem::path file(path);
  if (!std::filesystem::exists(file)) return;
  if (message.size() > kKubeletLimit) {
    throw Error("the summary has " + std::to_string(message.size()) + " bytes, a pod may leave " +
                    std::to_string(kKubeletLimit),
                file.string());
  }
  // Written in place: the kubelet bind-mounts this very file, so it must not be replaced by rename.
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(message.data(), static_cast<std::streamsize>(message.size()));
  if (!out.flush()) throw Error("cannot write", file.string());
}

}  // namespace stepdown
