#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

#include "engine/base/program.h"

namespace stepdown {

/// Runs a command as its program would; throws what it throws.
inline int run_command(const Command& command, std::vector<std::string> arguments) {
  CLI::App app;
  const auto body = command.configure(app);
  std::ranges::reverse(arguments);  // as CLI11 wants a vector
  app.parse(arguments);
  return body();
}

/// The same, what it prints dropped.
inline int run_quietly(const Command& command, std::vector<std::string> arguments) {
  testing::internal::CaptureStdout();
  const int status = run_command(command, std::move(arguments));
  testing::internal::GetCapturedStdout();
  return status;
}

}  // namespace stepdown
