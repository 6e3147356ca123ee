#include "engine/base/log.h"

#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <string>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "engine/base/printable.h"

namespace stepdown::log {
namespace {

// The only process-wide state of the room: two settings, written before threads start.
std::atomic<Format>& chosen_format() {
  static std::atomic<Format> format{Format::kText};
  return format;
}
std::atomic<Level>& chosen_level() {
  static std::atomic<Level> level{Level::kInfo};
  return level;
}

constexpr std::size_t kLongest = 64 * 1024;  // bytes of a line of text
constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warn", "error"};

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text{};
  const std::size_t used = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::string fraction = std::to_string(1000 + millis).substr(1);
  return std::string(text.data(), used) + "." + fraction + "Z";
}

std::string as_text(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

void configure(Format format, Level least) {
  chosen_format() = format;
  chosen_level() = least;
}

void write(Level level, std::string_view message, const nlohmann::json& fields) {
  if (level < chosen_level()) return;
  const std::string_view name = kNames[static_cast<std::size_t>(level)];
  std::string line;
  if (chosen_format() == Format::kJson) {
    nlohmann::json entry = {{"time", timestamp()}, {"level", name}, {"message", message}};
    if (fields.is_object()) entry.update(fields);
    line = entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else {
    line = timestamp() + " " + std::string(name) + " " + std::string(message);
    if (fields.is_object()) {
      for (const auto& [key, value] : fields.items()) line += " " + key + "=" + as_text(value);
    }
    line = printable(line, kLongest);
  }
  line += '\n';
  // One write a line keeps lines of several threads and processes whole.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

void info(std::string_view message, const nlohmann::json& fields) {
  write(Level::kInfo, message, fields);
}
void warn(std::string_view message, const nlohmann::json& fields) {
  write(Level::kWarn, message, fields);
}
void error(std::string_view message, const nlohmann::json& fields) {
  write(Level::kError, message, fields);
}
void info(std::string_view message) {
  write(Level::kInfo, message, nullptr);
}
void warn(std::string_view message) {
  write(Level::kWarn, message, nullptr);
}
void error(std::string_view message) {
  write(Level::kError, message, nullptr);
}

}  // namespace stepdown::log
