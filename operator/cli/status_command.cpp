#include "operator/cli/status_command.h"

#include <cstdio>
#include <optional>
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
#include "operator/cli/text_table.h"
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

/// The terminal's other screen while it lives, as pagers use it: what was there before comes back.
class Screen {
 public:
  Screen() { std::fputs("\x1b[?1049h\x1b[?25l", stdout); }
  ~Screen() {
    std::fputs("\x1b[?25h\x1b[?1049l", stdout);
    std::fflush(stdout);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Over the last picture line by line, so that nothing flickers.
  void draw(std::vector<std::string> lines, std::size_t rows) const {
    if (lines.size() + 1 > rows) lines.resize(rows - 1);
    std::string picture = "\x1b[H";
    for (const std::string& line : lines) picture += line + "\x1b[K\r\n";
    picture += "\x1b[J";
    std::fwrite(picture.data(), 1, picture.size(), stdout);
    std::fflush(stdout);
  }
};

/// On a terminal the view is drawn twice a second, and printed once more at the end; elsewhere each change is
/// printed once.
int watch(const Connection& connection, const std::string& name) {
  const kube::ObjectKey key{connection.ns, name};
  Shutdown shutdown;
  kube::Informer::Options options;
  options.list.ns = key.ns;
  options.list.field_selector = "metadata.name=" + key.name;
  kube::Informer informer(connection.client, kQuantizedModels, options);
  informer.start();
  kube::ObjectPtr shown;
  std::optional<Screen> screen;
  if (::isatty(STDOUT_FILENO) == 1) screen.emplace();
  while (!shutdown.requested()) {
    const kube::ObjectPtr object = informer.get(key);
    if (screen) {
      const Size size = terminal_size();
      std::vector<std::string> lines = {"waiting for " + key.text()};
      if (object) lines = lines_of(*object, size.columns);
      if (const std::string trouble = informer.trouble(); !trouble.empty()) {
        lines.insert(lines.begin(), cut("the API server is away: " + trouble, size.columns));
      }
      screen->draw(std::move(lines), size.rows);
    } else if (object && object != shown) {
      print(lines_of(*object, kWidthWithoutTerminal));
      std::puts("");
    }
    shown = object;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  if (screen && shown) {
    screen.reset();
    print(lines_of(*shown, terminal_size().columns));
  }
  return kDone;
}

}  // namespace

Command status_command() {
  return {"status", "What serves now, how the rollout goes, and what is wrong", [](CLI::App& app) {
            const auto name = add_model_name(app);
            const auto target = add_cluster_target(app);
            auto watching = std::make_shared<bool>(false);
            app.add_flag("-w,--watch", *watching, "Keep showing it");
            return [=]() -> int {
              const Connection connection = target->connect();
              const nlohmann::json object = get_model(connection, *name);
              if (*watching) return watch(connection, *name);
              print(lines_of(object, terminal_size().columns));
              return kDone;
            };
          }};
}

}  // namespace stepdown::cli
