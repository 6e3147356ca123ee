#include "engine/formats/artifacts_command.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/base/termination_log.h"
#include "engine/formats/staging_folder.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kReports = "reports/";
constexpr std::string_view kSources = "sources/";
constexpr std::size_t kHexDigits = 64;
constexpr std::size_t kCopyDigits = 16;

struct Options {
  std::string dir;
  std::vector<std::string> remove;
  std::string print;
  std::string termination_log = kTerminationLog;
};

bool is_digest(std::string_view name) {
  return name.size() == kHexDigits && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// "reports/<name>": no way out of the folder.
bool is_report(std::string_view name) {
  return name.starts_with(kReports) && name.size() > kReports.size() && name[kReports.size()] != '.' &&
         name.find('/', kReports.size()) == std::string_view::npos;
}

/// "sources/<16 hex digits>", as the operator names copies.
bool is_copy(std::string_view name) {
  if (!name.starts_with(kSources)) return false;
  name.remove_prefix(kSources.size());
  return name.size() == kCopyDigits && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// What a name stands for: an artifact's whole folder, a report as JSON and as HTML, or a fetched source with
/// what is there of one that never came to its end.
std::vector<fs::path> places_of(const fs::path& dir, const std::string& name) {
  if (is_report(name)) {
    const fs::path html = (dir / name).replace_extension(".html");
    return {html, fs::path(html).replace_extension(".json")};
  }
  if (is_copy(name)) return {dir / name, dir / kSources / (".partial-" + name.substr(kSources.size()))};
  const std::string folder = name.substr(0, name.find('/'));
  if (!is_digest(folder)) {
    throw InputError("no artifact, report or fetched source is named so", name,
                     "give <64 hex digits>, reports/<name> or sources/<16 hex digits>");
  }
  return {dir / folder};
}

std::uintmax_t bytes_of(const fs::path& path) {
  if (fs::is_regular_file(fs::symlink_status(path))) return fs::file_size(path);
  std::uintmax_t sum = 0;
  if (!fs::is_directory(fs::symlink_status(path))) return sum;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && !entry.is_symlink()) sum += entry.file_size();
  }
  return sum;
}

/// Into the staging folder first, which vanishes with this process: a kill leaves an artifact whole or gone.
int remove(const Options& options) {
  const fs::path dir = options.dir;
  std::vector<fs::path> places;
  for (const std::string& name : options.remove) {
    for (fs::path& place : places_of(dir, name)) places.push_back(std::move(place));
  }
  std::uintmax_t bytes = 0;
  std::size_t removed = 0;
  {
    const StagingFolder bin(dir);
    for (const fs::path& place : places) {
      if (!fs::exists(fs::symlink_status(place))) continue;
      bytes += bytes_of(place);
      fs::rename(place, bin.path() / std::to_string(removed++));
      sync_to_disk(place.parent_path());
      std::printf("removed %s\n", place.c_str());
    }
  }
  write_termination_log(options.termination_log, {{"removed", removed}, {"bytes", bytes}});
  std::printf("%zu removed, %.1f MiB freed\n", removed, static_cast<double>(bytes) / 0x1p20);
  return kDone;
}

int print(const Options& options) {
  if (!is_report(options.print)) {
    throw InputError("only reports can be printed", options.print, "give reports/<name>");
  }
  const MappedFile file(fs::path(options.dir) / options.print);
  const auto bytes = file.bytes();
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0) {
    throw Error("cannot write to standard output", options.print);
  }
  return kDone;
}

int list(const Options& options) {
  for (const auto& entry : fs::directory_iterator(options.dir)) {
    if (!is_digest(entry.path().filename().string())) continue;
    std::printf("sha256:%s %10.1f MiB\n", entry.path().filename().c_str(),
                static_cast<double>(bytes_of(entry.path())) / 0x1p20);
  }
  return kDone;
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--dir", options->dir, "Where artifacts and reports lie")
      ->required()
      ->check(CLI::ExistingDirectory)
      ->type_name("DIR");
  auto* removing = app.add_option("--remove", options->remove,
                                  "Remove an artifact (64 hex digits), a report (reports/NAME) or a\n"
                                  "fetched source (sources/<16 hex digits>)")
                       ->type_name("NAME");
  app.add_option("--print", options->print, "Print a report, such as reports/NAME.html")
      ->type_name("NAME")
      ->excludes(removing);
  app.add_option("--termination-log", options->termination_log, "Where a Kubernetes Job leaves its summary")
      ->type_name("FILE")
      ->capture_default_str();
  return [options] {
    if (!options->remove.empty()) return remove(*options);
    return options->print.empty() ? list(*options) : print(*options);
  };
}

}  // namespace

Command artifacts_command() {
  return {"artifacts", "List, print or remove what Jobs left on a volume", configure};
}

}  // namespace stepdown::formats
