#include "engine/server/bench_serving_command.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/base/system_facts.h"
#include "engine/formats/model_file.h"
#include "engine/runtime/engine.h"
#include "engine/server/http_service.h"
#include "engine/server/load_generator.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string model;
  std::string draft_model;
  std::string url;
  std::string name = "model";
  std::string schema;
  std::string json;
  std::vector<int> concurrency = {1, 8};
  int rounds = 3;
  int requests = 0;
  int shared_words = 128;
  int prompt_words = 64;
  std::int64_t generate = 64;
  runtime::EngineOptions engine;
};

/// A server of the model in this process.
class OwnServer {
 public:
  explicit OwnServer(const Options& options) {
    auto file = formats::open_model(options.model);
    const formats::TokenizerData tokenizer = file->tokenizer();
    auto draft = options.draft_model.empty() ? nullptr : formats::open_model(options.draft_model);
    engine_ = std::make_unique<runtime::Engine>(std::move(file), options.engine, std::move(draft));
    ServiceOptions service;
    service.port = 0;
    service.names = {options.name};
    service.revision = "bench";
    service_ = std::make_unique<HttpService>(*engine_, tokenizer, service);
    thread_ = std::thread([this] { service_->run(); });
  }
  ~OwnServer() {
    service_->stop();
    thread_.join();
  }
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(service_->port()); }
  runtime::EngineStats stats() const { return engine_->stats(); }
  int threads() const { return engine_->options().threads; }

 private:
  std::unique_ptr<runtime::Engine> engine_;
  std::unique_ptr<HttpService> service_;
  std::thread thread_;
};

std::string shared_text(int words) {
  std::string text = "You are the clerk of a harbor.";
  for (int i = 6; i < words; ++i) text += i % 9 == 0 ? " Rule:" : " note";
  return text;
}

/// The middle one of the rounds, by throughput.
ordered_json median_of(std::vector<ordered_json> rounds) {
  const auto middle = rounds.begin() + static_cast<std::ptrdiff_t>(rounds.size() / 2);
  std::nth_element(rounds.begin(), middle, rounds.end(), [](const ordered_json& a, const ordered_json& b) {
    return a["tokensPerSecond"].get<double>() < b["tokensPerSecond"].get<double>();
  });
  return *middle;
}

ordered_json measure(const Options& options, const std::string& url, int concurrency, Progress& progress) {
  LoadPlan plan{.url = url,
                .model = options.name,
                .shared = shared_text(options.shared_words),
                .concurrency = concurrency,
                .requests = options.requests > 0 ? options.requests : 4 * concurrency,
                .prompt_words = options.prompt_words,
                .generate = options.generate,
                .extra = {}};
  if (!options.schema.empty()) {
    const ordered_json schema = ordered_json::parse(read_file(options.schema), nullptr, false);
    if (schema.is_discarded()) throw InputError("is no JSON", options.schema, "give a JSON Schema");
    plan.extra =
        ordered_json{{"response_format",
                      {{"type", "json_schema"}, {"json_schema", {{"name", "bench"}, {"schema", schema}}}}}}
            .dump();
  }
  progress.note(std::to_string(concurrency) + " at a time");
  std::vector<ordered_json> rounds;
  for (int round = 0; round < options.rounds; ++round) {
    rounds.push_back(load_summary(plan, run_load(plan, concurrency * 1000 + round)));
    progress.advance();
  }
  return median_of(std::move(rounds));
}

void print(const ordered_json& row) {
  const auto pair = [&row](const char* name) {
    const auto text = [](const ordered_json& value) {
      char digits[32];
      std::snprintf(digits, sizeof digits, "%.1f", value.is_null() ? 0.0 : value.get<double>());
      return std::string(digits);
    };
    return text(row[name]["p50"]) + " / " + text(row[name]["p99"]);
  };
  std::printf("%-12d %9.1f %18s %18s %20s\n", row["concurrency"].get<int>(),
              row["tokensPerSecond"].get<double>(), pair("firstTokenMs").c_str(),
              pair("betweenTokensMs").c_str(), pair("answerMs").c_str());
}

int bench(const Options& options) {
  if (options.model.empty() == options.url.empty())
    throw InputError("neither or both are given", "--model, --url",
                     "give a model to serve, or a server to ask");
  std::unique_ptr<OwnServer> own;
  if (options.url.empty()) own = std::make_unique<OwnServer>(options);
  const std::string url = own ? own->url() : options.url;
  ordered_json report = {{"model", options.model}, {"url", options.url}, {"cpu", cpu_name()}};
  if (own) report["threads"] = own->threads();
  report["results"] = ordered_json::array();
  {
    Progress progress("bench serving", options.concurrency.size() * static_cast<std::size_t>(options.rounds),
                      "rounds");
    for (const int concurrency : options.concurrency)
      report["results"].push_back(measure(options, url, concurrency, progress));
  }
  std::printf("%-12s %9s %18s %18s %20s\n", "concurrency", "tok/s", "first p50/p99 ms", "next p50/p99 ms",
              "answer p50/p99 ms");
  for (const ordered_json& row : report["results"]) print(row);
  if (own && own->stats().drafted_tokens > 0) {
    const runtime::EngineStats stats = own->stats();
    report["draftedTokens"] = stats.drafted_tokens;
    report["heldTokens"] = stats.held_tokens;
    std::printf("drafted %llu tokens, of which %llu held\n",
                static_cast<unsigned long long>(stats.drafted_tokens),
                static_cast<unsigned long long>(stats.held_tokens));
  }
  if (own) report["peakMemoryBytes"] = peak_memory_bytes();
  if (!options.json.empty()) write_file_atomically(options.json, report.dump(2) + "\n");
  return kDone;
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  options->engine.max_sequences = 8;
  options->engine.context = 2048;
  app.add_option("--model", options->model, "GGUF file or model folder to serve in this process");
  app.add_option("--draft-model", options->draft_model, "A cheaper model that guesses ahead");
  app.add_option("--draft-tokens", options->engine.draft_tokens, "Tokens guessed and checked a step")
      ->check(CLI::Range(0, 16));
  app.add_option("--url", options->url, "Instead: a server with OpenAI's API, http://HOST:PORT");
  app.add_option("--name", options->name, "What the model is called there")->capture_default_str();
  app.add_option("--concurrency", options->concurrency, "Requests at a time, each measured")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--requests", options->requests, "Requests a round; 0: four times the concurrency")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--rounds", options->rounds, "Rounds; the middle one by throughput counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--shared", options->shared_words, "Words that all prompts begin with")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--prompt", options->prompt_words, "Words behind them that differ")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--generate", options->generate, "Tokens of each answer")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--schema", options->schema,
                 "JSON Schema that answers must follow; they then end by themselves")
      ->check(CLI::ExistingFile);
  app.add_option("--context", options->engine.context, "Tokens a sequence may hold")->capture_default_str();
  app.add_option("--max-sequences", options->engine.max_sequences, "Sequences decoded together")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--threads", options->engine.threads, "Threads; 0: all this process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--json", options->json, "Write the figures to this file");
  return [options] { return bench(*options); };
}

}  // namespace

Command bench_serving_command() {
  return {"serving", "Measure latency and throughput of concurrent requests over HTTP", configure};
}

}  // namespace stepdown::server
