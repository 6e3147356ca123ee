#include <array>

#include "engine/base/program.h"
#include "engine/eval/evaluate_command.h"
#include "engine/fetch/fetch_command.h"
#include "engine/fetch/node_cache_command.h"
#include "engine/formats/artifacts_command.h"
#include "engine/formats/inspect_command.h"
#include "engine/quant/bench_quantize_command.h"
#include "engine/quant/convert_command.h"
#include "engine/quant/quantize_command.h"
#include "engine/quant/reproduce_command.h"
#include "engine/runtime/bench_command.h"
#include "engine/runtime/bench_grammar_command.h"
#include "engine/server/bench_serving_command.h"
#include "engine/server/serve_command.h"

// The subcommands of stepdown-engine: one row each.
int main(int argc, char** argv) {
  using stepdown::with_part;
  const stepdown::Command bench = with_part(
      with_part(with_part(stepdown::runtime::bench_command(), stepdown::runtime::bench_grammar_command()),
                stepdown::server::bench_serving_command()),
      stepdown::quant::bench_quantize_command());
  const std::array commands = {
      stepdown::server::serve_command(),    stepdown::quant::quantize_command(),
      stepdown::quant::convert_command(),   bench,
      stepdown::formats::inspect_command(), stepdown::eval::evaluate_command(),
      stepdown::fetch::fetch_command(),     stepdown::formats::artifacts_command(),
      stepdown::quant::reproduce_command(), stepdown::fetch::node_cache_command(),
  };
  return stepdown::run_program(argc, argv, "stepdown-engine",
                               "Serve, quantize, evaluate and inspect language models", commands);
}
