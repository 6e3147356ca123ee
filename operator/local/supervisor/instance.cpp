#include "operator/local/supervisor/instance.h"

#include <cstdlib>

namespace stepdown::local {

namespace fs = std::filesystem;

fs::path default_dir() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0')
    return fs::path(state) / "stepdown";
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "/root" : home) / ".local" / "state" / "stepdown";
}

fs::path up_lock(const fs::path& dir) {
  return dir / "up.lock";
}

}  // namespace stepdown::local
