#include "engine/runtime/bench_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/base/system_facts.h"
#include "engine/kernels/operations.h"
#include "engine/runtime/device_option.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/machine_limits.h"

namespace stepdown::runtime {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string model;
  std::string json;
  int threads = 0;
  int repeats = 5;
  std::int64_t prompt = 512;
  std::int64_t generate = 128;
  std::vector<std::int64_t> batches = {2, 4, 8};
  std::string kv_type = "f16";
  kernels::cuda::DeviceRequest device;
};

struct Measured {
  std::string test;
  std::int64_t sequences;
  double tokens_per_second;
};

/// What a model asks of the machine.
struct Work {
  DType type;                   ///< that most weight bytes have: what one calls the file
  std::size_t weight_bytes;     ///< of all tensors, read once a decoded token
  double operations_per_token;  ///< of a prompt: the matrices that all its tokens pass, 2 a multiply-add
};

/// A figure beside the limit of this machine that it cannot pass.
struct Fraction {
  double achieved;
  double limit;
  const char* name;  ///< of the limit, as in the JSON
  const char* unit;

  double of_limit() const { return limit > 0 ? achieved / limit : 0.0; }
};

// When the first token of a request came, and when its last one did.
struct Timing {
  Clock::time_point first, last;
};

std::future<Timing> start(Engine& engine, std::int64_t prompt, std::int64_t generate) {
  GenerateRequest request;
  for (std::int64_t i = 0; i < prompt; ++i) {
    request.prompt.push_back(static_cast<TokenId>((i * 7919 + 13) % engine.config().vocab));
  }
  request.max_tokens = generate;
  request.ignore_end = true;
  struct Record {
    Timing timing;
    bool begun = false;
    std::promise<Timing> done;
  };
  const auto record = std::make_shared<Record>();
  auto done = record->done.get_future();
  request.on_event = [record](const TokenEvent& event) {
    const auto now = Clock::now();
    if (event.finish) return record->done.set_value(record->timing);
    if (!record->begun) record->timing.first = now;
    record->begun = true;
    record->timing.last = now;
  };
  if (engine.submit(std::move(request)).refusal) {
    throw InputError("the prompt does not fit the context", "--prompt", "give fewer tokens");
  }
  return done;
}

double prompt_rate(Engine& engine, std::int64_t prompt) {
  const auto begun = Clock::now();
  const Timing timing = start(engine, prompt, 1).get();
  return static_cast<double>(prompt) / std::chrono::duration<double>(timing.first - begun).count();
}

double decode_rate(Engine& engine, std::int64_t sequences, std::int64_t generate) {
  std::vector<std::future<Timing>> running;
  for (std::int64_t i = 0; i < sequences; ++i) running.push_back(start(engine, 1, generate));
  Clock::time_point first = Clock::time_point::max();
  Clock::time_point last{};
  for (auto& each : running) {
    const Timing timing = each.get();
    first = std::min(first, timing.first);
    last = std::max(last, timing.last);
  }
  return static_cast<double>((generate - 1) * sequences) /
         std::chrono::duration<double>(last - first).count();
}

template <class Measure>
double median_of(int repeats, Progress& progress, const Measure& measure) {
  std::vector<double> values;
  for (int i = 0; i < repeats; ++i) {
    values.push_back(measure());
    progress.advance();
  }
  std::nth_element(values.begin(), values.begin() + repeats / 2, values.end());
  return values[static_cast<std::size_t>(repeats / 2)];
}

Work work_of(const formats::ModelFile& file) {
  std::map<DType, std::size_t> by_type;
  Work work{};
  const std::string last = "blk." + std::to_string(file.config().layers - 1) + ".";
  for (const TensorView& tensor : file.tensors()) {
    by_type[tensor.type] += tensor.data.size();
    work.weight_bytes += tensor.data.size();
    if (!tensor.name.starts_with("blk.") || tensor.shape.size() < 2) continue;
    const bool attends = tensor.name.find(".attn_q") != std::string::npos ||
                         tensor.name.find(".attn_k") != std::string::npos ||
                         tensor.name.find(".attn_v") != std::string::npos;
    if (tensor.name.starts_with(last) && !attends) continue;  // where one token of a prompt passes alone
    double elements = static_cast<double>(tensor.rows()) * static_cast<double>(tensor.columns());
    if (tensor.name.find("_exps") != std::string::npos)
      elements *=
          static_cast<double>(file.config().experts_used) / static_cast<double>(file.config().experts);
    work.operations_per_token += 2 * elements;
  }
  work.type = std::max_element(by_type.begin(), by_type.end(), [](const auto& a, const auto& b) {
                return a.second < b.second;
              })->first;
  return work;
}

// Decoding waits for weights, prompts for arithmetic: integers for quantized weights, floats for the others.
Fraction fraction_of(const Measured& result, const Work& work, const MachineLimits& limits) {
  if (result.test.starts_with("tg")) {
    const double steps = result.tokens_per_second / static_cast<double>(result.sequences);
    return {steps * static_cast<double>(work.weight_bytes) / 1e9, limits.read_gb_per_s, "read", "GB/s"};
  }
  const double rate = result.tokens_per_second * work.operations_per_token / 1e9;
  if (dtype_info(work.type).quantized) return {rate, limits.int8_gop_per_s, "int8", "GOP/s"};
  if (work.type == DType::kBF16 && limits.bf16_gflop_per_s > 0)
    return {rate, limits.bf16_gflop_per_s, "bf16", "GFLOP/s"};
  return {rate, limits.float32_gflop_per_s, "float32", "GFLOP/s"};
}

std::vector<Measured> measure_all(Engine& engine, const BenchOptions& options) {
  const auto tests = static_cast<std::uint64_t>(2 + options.batches.size());
  Progress progress("bench", tests * static_cast<std::uint64_t>(options.repeats), "runs");
  prompt_rate(engine, std::min<std::int64_t>(options.prompt, 64));  // touches every page once
  std::vector<Measured> results;
  progress.note("prompt");
  results.push_back({"pp" + std::to_string(options.prompt), 1, median_of(options.repeats, progress, [&] {
                       return prompt_rate(engine, options.prompt);
                     })});
  std::vector<std::int64_t> batches = {1};
  batches.insert(batches.end(), options.batches.begin(), options.batches.end());
  for (const std::int64_t batch : batches) {
    progress.note(std::to_string(batch) + " sequences");
    const std::string name = "tg" + std::to_string(options.generate);
    results.push_back(
        {batch == 1 ? name : name + "x" + std::to_string(batch), batch,
         median_of(options.repeats, progress, [&] { return decode_rate(engine, batch, options.generate); })});
  }
  return results;
}

int bench(const BenchOptions& options) {
  if (options.model.empty())
    throw InputError("no model is given", "--model", "give a GGUF file or a model folder");
  MachineLimits limits{};
  {
    kernels::ThreadPool pool(options.threads > 0 ? options.threads : kernels::usable_processors());
    limits = measure_limits(pool);
  }
  reset_peak_memory();  // the buffer that was read is none of the model's
  const auto begun = Clock::now();
  const std::clock_t processor_begun = std::clock();
  auto file = formats::open_model(options.model);
  const Work work = work_of(*file);
  EngineOptions engine_options;
  engine_options.threads = options.threads;
  engine_options.share_prefixes = false;  // every run computes its whole prompt
  engine_options.context = std::max(options.prompt, options.generate) + 2;
  engine_options.max_sequences = std::max<std::int64_t>(
      1, options.batches.empty() ? 1 : *std::max_element(options.batches.begin(), options.batches.end()));
  engine_options.device = options.device;
  engine_options.kv_type = *model::kv_type_of(options.kv_type);
  Engine engine(std::move(file), engine_options);
  const double load_seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  const double load_processor_seconds = static_cast<double>(std::clock() - processor_begun) / CLOCKS_PER_SEC;
  const std::vector<Measured> results = measure_all(engine, options);

  const std::string name(dtype_info(work.type).name);
  const bool on_cpu = engine.device() == "cpu";
  const std::string instructions(on_cpu ? kernels::operations().name : engine.device());
  nlohmann::json report = {{"model", options.model},
                           {"type", name},
                           {"weightBytes", work.weight_bytes},
                           {"threads", engine.options().threads},
                           {"kvType", options.kv_type},
                           {"device", engine.device()},
                           {"instructionSet", kernels::operations().name},
                           {"cpu", cpu_name()},
                           {"limits",
                            {{"readGBPerS", limits.read_gb_per_s},
                             {"int8GopPerS", limits.int8_gop_per_s},
                             {"float32GflopPerS", limits.float32_gflop_per_s},
                             {"bf16GflopPerS", limits.bf16_gflop_per_s}}},
                           {"loadSeconds", load_seconds},
                           {"loadProcessorSeconds", load_processor_seconds},
                           {"peakMemoryBytes", peak_memory_bytes()},
                           {"results", nlohmann::json::array()}};
  std::printf("%s, %s, %.1f MB, %d threads, %s\n", options.model.c_str(), name.c_str(),
              static_cast<double>(work.weight_bytes) / 1e6, engine.options().threads, instructions.c_str());
  std::printf("limits: read %.1f GB/s, int8 %.0f GOP/s, float32 %.0f GFLOP/s, bf16 %.0f GFLOP/s\n",
              limits.read_gb_per_s, limits.int8_gop_per_s, limits.float32_gflop_per_s,
              limits.bf16_gflop_per_s);
  std::printf("loaded in %.2f s, %.2f s of processor time (%.2f and %.2f s a GB)\n", load_seconds,
              load_processor_seconds, load_seconds * 1e9 / static_cast<double>(work.weight_bytes),
              load_processor_seconds * 1e9 / static_cast<double>(work.weight_bytes));
  std::printf("%-10s %12s   %s\n", "test", "tok/s", "of the machine's limit");
  for (const Measured& result : results) {
    const Fraction part = fraction_of(result, work, limits);
    nlohmann::json row = {{"test", result.test},
                          {"sequences", result.sequences},
                          {"tokensPerSecond", result.tokens_per_second}};
    if (!on_cpu) {  // the limits are the processor's
      report["results"].push_back(row);
      std::printf("%-10s %12.1f\n", result.test.c_str(), result.tokens_per_second);
      continue;
    }
    row["limit"] = part.name;
    row["fraction"] = part.of_limit();
    if (result.test.starts_with("tg")) row["readGBPerS"] = part.achieved;
    report["results"].push_back(row);
    std::printf("%-10s %12.1f   %.1f of %.1f %s %s (%.0f %%)\n", result.test.c_str(),
                result.tokens_per_second, part.achieved, part.limit, part.unit, part.name,
                100 * part.of_limit());
  }
  if (!options.json.empty()) write_file_atomically(options.json, report.dump(2) + "\n");
  return kDone;
}

}  // namespace

Command bench_command() {
  return {"bench", "Measure tokens per second of a model, beside this machine's limits", [](CLI::App& app) {
            const auto options = std::make_shared<BenchOptions>();
            app.add_option("--model", options->model, "GGUF file or model folder");
            app.add_option("--json", options->json, "Write the figures to this file");
            add_device_option(app, options->device);
            app.add_option("--threads", options->threads, "Threads; 0: all this process may use")
                ->capture_default_str()
                ->check(CLI::Range(0, 1024));
            app.add_option("--repeats", options->repeats, "Runs of each test; the median counts")
                ->check(CLI::Range(1, 1000))
                ->capture_default_str();
            app.add_option("--prompt", options->prompt, "Prompt tokens")
                ->check(CLI::Range(1, 1 << 20))
                ->capture_default_str();
            app.add_option("--generate", options->generate, "Tokens to generate")
                ->check(CLI::Range(2, 1 << 20))
                ->capture_default_str();
            app.add_option("--batches", options->batches, "Sequences decoded together, besides one")
                ->delimiter(',')
                ->check(CLI::Range(1, 1024))
                ->capture_default_str();
            app.add_option("--kv-type", options->kv_type, "Key-value cache")
                ->check(CLI::IsMember({"f16", "int8", "fp8", "int4"}))
                ->capture_default_str();
            return [options] { return bench(*options); };
          }};
}

}  // namespace stepdown::runtime
