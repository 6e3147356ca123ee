#include <array>

#include "engine/base/program.h"
#include "operator/local/local_command.h"

// The subcommands of kubectl-stepdown: one row each.
int main(int argc, char** argv) {
  const std::array commands = {stepdown::local::local_command()};
  return stepdown::run_program(argc, argv, "kubectl-stepdown",
                               "Verified quantization of language models on Kubernetes", commands);
}
