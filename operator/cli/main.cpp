#include <vector>

#include "engine/base/program.h"
#include "operator/cli/diff_command.h"
#include "operator/cli/recommend_command.h"
#include "operator/cli/report_command.h"
#include "operator/cli/review_command.h"
#include "operator/cli/schema_command.h"
#include "operator/cli/status_command.h"
#include "operator/cli/validate_command.h"
#include "operator/cli/verb_command.h"
#include "operator/local/local_command.h"

// The subcommands of kubectl-stepdown: one row each.
int main(int argc, char** argv) {
  std::vector<stepdown::Command> commands = {
      stepdown::cli::status_command(),   stepdown::cli::report_command(),    stepdown::cli::diff_command(),
      stepdown::cli::validate_command(), stepdown::cli::recommend_command(), stepdown::cli::rules_command(),
      stepdown::cli::schema_command(),   stepdown::cli::review_command(),
  };
  for (stepdown::Command& verb : stepdown::cli::verb_commands()) commands.push_back(std::move(verb));
  commands.push_back(stepdown::local::local_command());
  return stepdown::run_program(argc, argv, "kubectl-stepdown",
                               "Verified quantization of language models on Kubernetes", commands);
}
