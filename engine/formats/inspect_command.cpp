#include "engine/formats/inspect_command.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/arguments.h"
#include "engine/base/hash.h"
#include "engine/base/printable.h"
#include "engine/base/termination_log.h"
#include "engine/formats/inspection.h"
#include "engine/memory/engines.h"

namespace stepdown::formats {
namespace {

struct Options {
  std::string model;
  std::int64_t context = 0;
  std::int64_t sequences = 4;
  std::int64_t memory = 0;
  std::string engine = "stepdown";
  std::string termination_log = kTerminationLog;
  std::string dataset;
  std::vector<std::string> adapters;
  bool json = false;
  bool digest_only = false;
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

std::string millions(std::int64_t count) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.1f M", static_cast<double>(count) / 1e6);
  return text.data();
}

void print_row(const char* name, const std::string& value) {
  std::printf("%-14s %s\n", name, printable(value).c_str());  // what files say may hold any byte
}

struct CacheType {
  const char* name;
  memory::KvType type;
};
constexpr std::array<CacheType, 4> kCacheTypes = {{{"f16", memory::KvType::kF16},
                                                   {"int8", memory::KvType::kInt8},
                                                   {"fp8", memory::KvType::kFp8},
                                                   {"int4", memory::KvType::kInt4}}};

memory::Model memory_model(const nlohmann::json& found) {
  const nlohmann::json& figures = found["memory"];
  return {.weights = figures["weights"],
          .kv = {.per_token = figures["kvPerToken"],
                 .windowed_per_token = figures["kvWindowedPerToken"],
                 .window = figures["kvWindow"],
                 .expanded_per_token = figures["kvExpandedPerToken"],
                 .heads = figures["kvHeads"],
                 .head_dim = figures["headDim"]},
          .activations = figures["activations"],
          .repackable = figures["repackable"]};
}

std::string change_text(const memory::Change& change) {
  const std::string value = std::to_string(change.value);
  switch (change.kind) {
    case memory::Change::Kind::kKvType:
      return "an int8 KV cache";
    case memory::Change::Kind::kConcurrency:
      return value + " sequences";
    case memory::Change::Kind::kContext:
      return value + " tokens of context";
    case memory::Change::Kind::kAccelerators:
    case memory::Change::Kind::kMemory:
      break;
  }
  return human_bytes(change.value) + " of memory";
}

/// What serving takes, and what of it fits the memory that is given.
nlohmann::json serving_memory(const nlohmann::json& found, const Options& options) {
  const memory::Model model = memory_model(found);
  const memory::EngineTraits engine = memory::engine_traits(options.engine);
  const std::int64_t own = found["config"]["contextLength"];
  const std::int64_t context = options.context > 0 ? options.context : std::min<std::int64_t>(own, 8192);
  nlohmann::json out = {{"engine", options.engine}, {"context", context}, {"sequences", options.sequences}};
  if (options.memory > 0) out["memory"] = options.memory;
  for (const CacheType& cache : kCacheTypes) {
    const memory::Load load{context, options.sequences, cache.type};
    const memory::Estimate needed = memory::estimate(model, load, engine);
    nlohmann::json& row = out["kvTypes"][cache.name];
    row = {{"weights", needed.weights},
           {"kv", needed.kv},
           {"activations", needed.activations},
           {"overhead", needed.overhead},
           {"total", needed.total()}};
    if (options.memory == 0) continue;
    const memory::Load longest{std::max(own, context), options.sequences, cache.type};
    row["largestSequences"] = memory::largest_sequences(model, load, engine, options.memory);
    row["largestContext"] = memory::largest_context(model, longest, engine, options.memory);
  }
  if (options.memory == 0) return out;
  const auto change = memory::cheapest_change(model, {context, options.sequences}, engine, options.memory,
                                              memory::KvType::kInt8, 1);
  out["cheapestChange"] = change ? nlohmann::json(change_text(*change)) : nlohmann::json();
  return out;
}

void print_memory(const nlohmann::json& found, const Options& options) {
  if (!memory_model(found).kv.known()) {
    std::printf("\nThe attention cache of this architecture is not known: its memory cannot be predicted.\n");
    return;
  }
  const nlohmann::json serving = serving_memory(found, options);
  const auto bytes = [](const nlohmann::json& value) { return human_bytes(value); };
  std::printf("\nMemory predicted for %s sequences of %s tokens:\n", serving["sequences"].dump().c_str(),
              serving["context"].dump().c_str());
  std::printf("  %-6s %12s %12s %12s %12s %12s\n", "KV", "weights", "KV cache", "activations", "program",
              "total");
  for (const auto& [name, row] : serving["kvTypes"].items()) {
    std::printf("  %-6s %12s %12s %12s %12s %12s\n", name.c_str(), bytes(row["weights"]).c_str(),
                bytes(row["kv"]).c_str(), bytes(row["activations"]).c_str(), bytes(row["overhead"]).c_str(),
                bytes(row["total"]).c_str());
  }
  if (options.memory == 0) return;
  std::printf("\nIn %s at most:\n", human_bytes(options.memory).c_str());
  for (const auto& [name, row] : serving["kvTypes"].items()) {
    std::printf("  %-6s %s sequences of %s tokens, or %s of %s\n", name.c_str(),
                row["largestSequences"].dump().c_str(), serving["context"].dump().c_str(),
                serving["sequences"].dump().c_str(), row["largestContext"].dump().c_str());
  }
  const nlohmann::json& change = serving["cheapestChange"];
  if (change.is_null()) {
    std::printf("What is asked fits as it is.\n");
  } else {
    std::printf("What is asked does not fit; the cheapest change is %s.\n",
                change.get<std::string>().c_str());
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
            number("vocab") + (config.value("tiedEmbeddings", false) ? ", head tied to it" : ""));
  print_row("context", number("contextLength") + " tokens");
  if (const std::int64_t parameters = found["parameters"]; parameters > 0)
    print_row("parameters", millions(parameters));
  std::string tensors;
  const nlohmann::json types = found.value("tensors", nlohmann::json::object());
  for (const auto& [type, count] : types.items()) {
    tensors += (tensors.empty() ? "" : ", ") + std::to_string(count.get<int>()) + " " + type;
  }
  if (!tensors.empty()) print_row("tensors", tensors);
  print_row("tokenizer", found.value("tokenizerDigest", "not read"));
  print_row("chat template", found.value("templateDigest", "not read"));
  if (!found["served"].get<bool>())
    print_row("served by", "other engines: the bundled one has no reader for this architecture and format");
  if (memory_model(found).kv.known()) print_row("KV a token", human_bytes(found["memory"]["kvPerToken"]));
  print_memory(found, options);
}

nlohmann::json adapter_digests(const std::vector<std::string>& texts) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& each : adapters_json(parse_adapters(texts))) out.push_back(each["digest"]);
  return out;
}

int run(const Options& options) {
  nlohmann::json found = options.digest_only
                             ? nlohmann::json{{"digest", "sha256:" + artifact_digest(options.model)}}
                             : inspect(options.model);
  if (!options.digest_only && memory_model(found).kv.known())
    found["serving"] = serving_memory(found, options);
  if (!options.dataset.empty()) found["datasetDigest"] = "sha256:" + artifact_digest(options.dataset);
  if (!options.adapters.empty()) found["adapters"] = adapter_digests(options.adapters);
  if (options.json || options.digest_only) {
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
  app.add_option("--engine", options->engine, "Predict the memory of this engine on CPUs")
      ->check(CLI::IsMember({"stepdown", "llama.cpp"}))
      ->capture_default_str();
  app.add_option("--memory", options->memory, "Say what fits into so much, such as 24GiB")
      ->transform(bytes())
      ->type_name("SIZE");
  app.add_option("--dataset", options->dataset, "Also give the digest of this evaluation data")
      ->type_name("PATH");
  app.add_option("--adapter", options->adapters, "Also give the digest of this LoRA adapter; may be repeated")
      ->type_name("PATH[=WEIGHT]");
  app.add_flag("--digest-only", options->digest_only, "Give the digest alone, of files of any format");
  app.add_option("--context", options->context,
                 "Tokens a sequence, for the memory table (0: the model's own, at most 8192)")
      ->check(not_negative())
      ->capture_default_str();
  app.add_option("--sequences", options->sequences, "Sequences at once, for the memory table")
      ->check(positive())
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
