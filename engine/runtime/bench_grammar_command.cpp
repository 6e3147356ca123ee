#include "engine/runtime/bench_grammar_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/system_facts.h"
#include "engine/formats/model_file.h"
#include "engine/runtime/bench_grammar_cases.h"
#include "engine/runtime/token_constraint.h"

namespace stepdown::runtime {
namespace {

using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string model;
  std::string cases;
  std::string json;
  int repeats = 5;
  bool print_cases = false;
};

double microseconds_since(Clock::time_point begun) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
}

struct Figures {
  std::vector<double> compile, cold, warm, accept;
};

/// Walks a document token by token, as decoding does.
void walk(TokenConstraint& constraint, const std::vector<tokenizer::TokenId>& tokens,
          std::vector<std::uint32_t>& mask, std::vector<double>& masks, std::vector<double>& accepts,
          const std::string& name) {
  for (const tokenizer::TokenId token : tokens) {
    auto begun = Clock::now();
    constraint.fill_mask(mask);
    masks.push_back(microseconds_since(begun));
    begun = Clock::now();
    const bool fits = constraint.accept(token);
    accepts.push_back(microseconds_since(begun));
    if (!fits) throw InputError("a document does not fit its schema", "case " + name, "mend the case");
  }
}

void measure(const ordered_json& one, int repeat, const tokenizer::Tokenizer& tokenizer,
             ConstraintFactory& factory, Figures& figures) {
  const auto name = one.at("name").get<std::string>();
  ordered_json schema = one.at("schema");
  schema["$comment"] = "repeat " + std::to_string(repeat);  // a language that no cache knows
  const auto begun = Clock::now();
  const auto compiled = schema::Schema::compile(schema);
  const auto first = factory.make(compiled);
  figures.compile.push_back(microseconds_since(begun));
  std::vector<std::uint32_t> mask((static_cast<std::size_t>(tokenizer.vocab_size()) + 31) / 32);
  for (const bool warm : {false, true}) {
    for (const ordered_json& document : one.at("documents")) {
      const auto tokens = tokenizer.encode(document.dump(), false);
      walk(*factory.make(compiled), tokens, mask, warm ? figures.warm : figures.cold, figures.accept, name);
    }
  }
}

ordered_json summary(std::vector<double> values) {
  std::ranges::sort(values);
  double sum = 0.0;
  for (const double value : values) sum += value;
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {{"count", values.size()},
          {"mean", sum / static_cast<double>(values.size())},
          {"p50", at(0.5)},
          {"p99", at(0.99)},
          {"max", values.back()}};
}

int bench(const Options& options) {
  const std::string text =
      options.cases.empty() ? std::string(bench_grammar_cases()) : read_file(options.cases);
  if (options.print_cases) {
    std::fputs(text.c_str(), stdout);
    return kDone;
  }
  if (options.model.empty()) throw InputError("no model is given", "--model", "give a file with a tokenizer");
  const ordered_json cases = ordered_json::parse(text, nullptr, false);
  if (!cases.is_array() || cases.empty())
    throw InputError("is no list of cases", options.cases, R"(give [{"name", "schema", "documents"}, …])");
  const auto tokenizer =
      std::make_shared<const tokenizer::Tokenizer>(formats::open_model(options.model)->tokenizer());
  ConstraintFactory factory(tokenizer);
  Figures figures;
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    for (const ordered_json& one : cases) measure(one, repeat, *tokenizer, factory, figures);
  }
  ordered_json report = {
      {"model", options.model}, {"vocabulary", tokenizer->vocab_size()}, {"cpu", cpu_name()}};
  std::printf("%d tokens, %zu schemas, %s; microseconds\n%-10s %8s %10s %10s %10s %10s\n",
              static_cast<int>(tokenizer->vocab_size()), cases.size(), cpu_name().c_str(), "", "count",
              "mean", "p50", "p99", "max");
  const auto add = [&](const char* name, const std::vector<double>& values) {
    const ordered_json row = report[name] = summary(values);
    std::printf("%-10s %8zu %10.1f %10.1f %10.1f %10.1f\n", name, values.size(), row["mean"].get<double>(),
                row["p50"].get<double>(), row["p99"].get<double>(), row["max"].get<double>());
  };
  add("compile", figures.compile);
  add("cold", figures.cold);
  add("warm", figures.warm);
  add("accept", figures.accept);
  if (!options.json.empty()) write_file_atomically(options.json, report.dump(2) + "\n");
  return kDone;
}

}  // namespace

Command bench_grammar_command() {
  return {
      "grammar", "Measure compiling of JSON Schemas, and token masks cold and warm", [](CLI::App& app) {
        const auto options = std::make_shared<Options>();
        app.add_option("--model", options->model, "GGUF file or model folder, of which the tokenizer counts");
        app.add_option("--cases", options->cases,
                       "JSON list of {name, schema, documents} [ten that are built in]");
        app.add_flag("--print-cases", options->print_cases, "Print the cases and do nothing else");
        app.add_option("--repeats", options->repeats, "Times that every schema is compiled and followed anew")
            ->check(CLI::Range(1, 1000))
            ->capture_default_str();
        app.add_option("--json", options->json, "Write the figures to this file");
        return [options] { return bench(*options); };
      }};
}

}  // namespace stepdown::runtime
