#include "engine/formats/inspect_command.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/termination_log.h"
#include "engine/formats/inspection.h"

namespace stepdown::formats {
namespace {

struct Options {
  std::string model;
  std::int64_t context = 0;
  std::int64_t sequences = 4;
  std::string termination_log = kTerminationLog;
  bool json = false;
};

std::string human_bytes(std::int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

void print_row(const char* name, const std::string& value) {
  std::printf("%-14s %s\n", name, value.c_str());
}

void print_memory(const nlohmann::json& found, const Options& options) {
  const nlohmann::json& config = found["config"];
  const nlohmann::json& figures = found["memory"];
  const memory::Model model{.weights = figures["weights"],
                            .kv = {.per_token = figures["kvPerToken"],
                                   .windowed_per_token = figures["kvWindowedPerToken"],
                                   .window = figures["kvWindow"],
                                   .heads = figures["kvHeads"],
                                   .head_dim = figures["headDim"]},
                            .activations = figures["activations"]};
  const std::int64_t own = config["contextLength"];
  const std::int64_t context = options.context > 0 ? options.context : std::min<std::int64_t>(own, 8192);
  std::printf("\nMemory predicted for %lld sequences of %lld tokens:\n",
              static_cast<long long>(options.sequences), static_cast<long long>(context));
  std::printf("  %-6s %12s %12s %12s %12s\n", "KV", "weights", "KV cache", "activations", "total");
  for (const auto& [name, type] : {std::pair{"f16", memory::KvType::kF16}, {"int8", memory::KvType::kInt8}}) {
    const memory::Estimate estimate = memory::estimate(model, {context, options.sequences, type});
    std::printf("  %-6s %12s %12s %12s %12s\n", name, human_bytes(estimate.weights).c_str(),
                human_bytes(estimate.kv).c_str(), human_bytes(estimate.activations).c_str(),
                human_bytes(estimate.total()).c_str());
  }
}

void print_table(const nlohmann::json& found, const Options& options) {
  const nlohmann::json& config = found["config"];
  const auto number = [&](const char* key) { return std::to_string(config[key].get<std::int64_t>()); };
  print_row("model", options.model);
  print_row("digest", found["digest"]);
  print_row("format", found["format"]);
  print_row("architecture", found["architecture"]);
  print_row("size", human_bytes(found["size"]));
  print_row("layers",
            number("layers") + " of " + number("hidden") + ", feed-forward " + number("feedForward"));
  print_row("heads",
            number("heads") + " of " + number("headDim") + ", " + number("kvHeads") + " for keys and values");
  print_row("vocabulary",
            number("vocab") + (config["tiedEmbeddings"].get<bool>() ? ", head tied to it" : ""));
  print_row("context", number("contextLength") + " tokens");
  std::string tensors;
  for (const auto& [type, count] : found["tensors"].items()) {
    tensors += (tensors.empty() ? "" : ", ") + std::to_string(count.get<int>()) + " " + type;
  }
  print_row("tensors", tensors);
  print_row("tokenizer", found["tokenizerDigest"]);
  print_row("chat template", found["templateDigest"]);
  print_row("KV a token", human_bytes(found["memory"]["kvPerToken"]) + " (int8 " +
                              human_bytes(found["memory"]["kvPerTokenInt8"]) + ")");
  print_memory(found, options);
}

int run(const Options& options) {
  const nlohmann::json found = inspect(options.model);
  if (options.json) {
    std::printf("%s\n", found.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    print_table(found, options);
  }
  write_termination_log(options.termination_log, found);
  return kDone;
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--model", options->model, "A .gguf file or a model folder")->required()->type_name("PATH");
  app.add_flag("--json", options->json, "Print JSON instead of a table");
  app.add_option("--context", options->context,
                 "Tokens a sequence, for the memory table (0: the model's own, at most 8192)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--sequences", options->sequences, "Sequences at once, for the memory table")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--termination-log", options->termination_log, "Where a Kubernetes Job leaves its summary")
      ->type_name("FILE")
      ->capture_default_str();
  return [options] { return run(*options); };
}

}  // namespace

Command inspect_command() {
  return {"inspect", "Show what a model file holds, its digests and the memory it will need", configure};
}

}  // namespace stepdown::formats
