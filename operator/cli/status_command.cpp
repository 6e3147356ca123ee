#include "operator/cli/status_command.h"

#include <cstdio>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/shutdown.h"
#include "operator/api/kinds.h"
#include "operator/cli/model_target.h"
#include "operator/cli/status_view.h"
#include "operator/kube/informer.h"

namespace stepdown::cli {
namespace {

constexpr std::size_t kWidthWithoutTerminal = 160;

struct Size {
  std::size_t columns = kWidthWithoutTerminal;
  std::size_t rows = 1000;
};

Size terminal_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return {};
  return {size.ws_col, size.ws_row};
}

std::vector<std::string> lines_of(const nlohmann::json& object, std::size_t width) {
  return status_lines(api::parse_quantized_model(object, api::UnknownFields::kIgnore), width,
                      std::chrono::system_clock::now());
}

void print(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::puts(line.c_str());
  std::fflush(stdout);
}

/// On a terminal the view is drawn over the last one, twice a second; elsewhere each change is printed once.
int watch(const ModelTarget::Connection& connection) {
  Shutdown shutdown;
  kube::Informer::Options options;
  options.list.ns = connection.key.ns;
  options.list.field_selector = "metadata.name=" + connection.key.name;
  kube::Informer informer(connection.client, kQuantizedModels, options);
  informer.start();
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  kube::ObjectPtr shown;
  while (!shutdown.requested()) {
    const kube::ObjectPtr object = informer.get(connection.key);
    const std::string trouble = informer.trouble();
    if (terminal) {
      const Size size = terminal_size();
      std::vector<std::string> lines = {"waiting for " + connection.key.text()};
      if (object) lines = lines_of(*object, size.columns);
      if (!trouble.empty())
        lines.insert(lines.begin(), ("the API server is away: " + trouble).substr(0, size.columns));
      lines.resize(std::min(lines.size(), size.rows - 1));
      std::fputs("\x1b[H\x1b[J", stdout);
      print(lines);
    } else if (object && object != shown) {
      print(lines_of(*object, kWidthWithoutTerminal));
      std::puts("");
    }
    shown = object;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  return kDone;
}

}  // namespace

Command status_command() {
  return {"status", "What serves now, how the rollout goes, and what is wrong", [](CLI::App& app) {
            const auto target = add_model_target(app);
            auto watching = std::make_shared<bool>(false);
            app.add_flag("-w,--watch", *watching, "Keep showing it");
            return [target, watching]() -> int {
              const ModelTarget::Connection connection = target->connect();
              const nlohmann::json object = get_model(connection);
              if (*watching) return watch(connection);
              print(lines_of(object, terminal_size().columns));
              return kDone;
            };
          }};
}

}  // namespace stepdown::cli
