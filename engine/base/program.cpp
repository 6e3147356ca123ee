#include "engine/base/program.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include "engine/base/arguments.h"
#include "engine/base/error.h"
#include "engine/base/file_error.h"
#include "engine/base/log.h"
#include "engine/base/printable.h"
#include "engine/base/version.h"

namespace stepdown {
namespace {

void add_common_options(CLI::App& app, std::string_view name, log::Format& format) {
  static const std::map<std::string, log::Format> kFormats = {{"text", log::Format::kText},
                                                              {"json", log::Format::kJson}};
  app.set_version_flag("--version", std::string(name) + " " + std::string(kVersion));
  app.add_option("--log-format", format, "Log lines as text or as JSON")
      ->transform(one_of(kFormats))
      ->type_name("text|json")
      ->default_str("text");
}

constexpr std::size_t kLongestLine = 8000;  // an Error's parts are shorter

int report(std::string_view program, const std::exception& error, int status) {
  std::fprintf(stderr, "%s: %s\n", std::string(program).c_str(),
               printable(error.what(), kLongestLine).c_str());
  return status;
}

/// A result that did not reach its reader is none, unless the reader wants no more (`| head`).
int with_everything_printed(int status) {
  const bool failed_before = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fflush(stdout) == 0 && !failed_before) return status;
  if (errno == EPIPE) return status;
  throw_file_error("write", "standard output",
                   {errno != 0 ? errno : static_cast<int>(std::errc::io_error), std::generic_category()});
}

int run_guarded(std::string_view program, const std::function<int()>& body) {
  try {
    return telling_file_errors([&] { return with_everything_printed(body()); });
  } catch (const InputError& error) {
    return report(program, error, kBadInput);
  } catch (const std::bad_alloc&) {
    return report(program, Error("the memory did not suffice", "", "give more, or fewer --threads"), kFailed);
  } catch (const std::exception& error) {
    return report(program, error, kFailed);
  }
}

/// One line, as every other error: what was typed, what is wrong, where to look.
int refuse_arguments(const CLI::App& app, const CLI::ParseError& error) {
  std::string typed = app.get_name();
  const CLI::App* at = &app;
  for (; !at->get_subcommands().empty(); typed += " " + at->get_name()) at = at->get_subcommands().front();
  const std::vector<std::string> unknown = app.remaining(true);
  const bool no_command = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) &&
                          !at->get_subcommands({}).empty() && !unknown.empty();
  const std::string what = no_command ? "there is no command '" + unknown.front() + "'" : error.what();
  std::fprintf(stderr, "%s: %s; see %s --help\n", typed.c_str(), what.c_str(), typed.c_str());
  return kBadInput;
}

int parse_and_run(CLI::App& app, int argc, char** argv, std::string_view name, const log::Format& format,
                  const std::function<std::function<int()>()>& chosen) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // the write that passes the limit tells it
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return refuse_arguments(app, error);
  }
  log::configure(format, log::Level::kInfo);
  return run_guarded(name, chosen());
}

}  // namespace

Command with_part(Command whole, Command part) {
  const auto configure = [whole, part](CLI::App& app) -> std::function<int()> {
    auto body = whole.configure(app);
    CLI::App* sub = app.add_subcommand(std::string(part.name), std::string(part.summary));
    auto part_body = part.configure(*sub);
    return [sub, body = std::move(body), part_body = std::move(part_body)] {
      return sub->parsed() ? part_body() : body();
    };
  };
  return {whole.name, whole.summary, configure};
}

int run_program(int argc, char** argv, std::string_view name, std::string_view summary,
                std::span<const Command> commands) {
  CLI::App app{std::string(summary), std::string(name)};
  log::Format format = log::Format::kText;
  add_common_options(app, name, format);
  app.require_subcommand(1);
  app.fallthrough();
  std::function<int()> chosen;
  for (const Command& command : commands) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
    auto body = command.configure(*sub);
    sub->callback([&chosen, body = std::move(body)] { chosen = body; });
  }
  return parse_and_run(app, argc, argv, name, format, [&chosen] { return chosen; });
}

int run_program(int argc, char** argv, const Command& only) {
  CLI::App app{std::string(only.summary), std::string(only.name)};
  log::Format format = log::Format::kText;
  add_common_options(app, only.name, format);
  const auto body = only.configure(app);
  return parse_and_run(app, argc, argv, only.name, format, [&body] { return body; });
}

}  // namespace stepdown
