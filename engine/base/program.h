#pragma once

#include <functional>
#include <span>
#include <string_view>

namespace CLI {
class App;
}

namespace stepdown {

/// Exit statuses of every program.
enum ExitCode : int { kDone = 0, kFailed = 1, kBadInput = 2 };

/// One subcommand: `configure` adds its options to the subcommand's App and returns what to run once they are
/// parsed. The returned function gives the exit status and may throw Error.
struct Command {
  std::string_view name;
  std::string_view summary;
  std::function<std::function<int()>(CLI::App&)> configure;
};

/// `whole`, whose word `part.name` runs `part` instead: "bench quantize" beside "bench".
Command with_part(Command whole, Command part);

/// Parses the command line (--help, --version, --log-format text|json everywhere), runs the chosen command
/// and turns exceptions into one line on standard error: InputError → 2, any other → 1.
int run_program(int argc, char** argv, std::string_view name, std::string_view summary,
                std::span<const Command> commands);

/// The same for a program without subcommands.
int run_program(int argc, char** argv, const Command& only);

}  // namespace stepdown
