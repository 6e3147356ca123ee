#include <array>

#include "engine/base/program.h"

// The subcommands of stepdown-engine: one row each.
int main(int argc, char** argv) {
  const std::array<stepdown::Command, 0> commands = {};
  return stepdown::run_program(argc, argv, "stepdown-engine",
                               "Serve, quantize, evaluate and inspect language models", commands);
}
