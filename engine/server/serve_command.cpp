#include "engine/server/serve_command.h"

#include <algorithm>
#include <filesystem>
#include <latch>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <malloc.h>
#include <nlohmann/json.hpp>

#include "engine/base/arguments.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/shutdown.h"
#include "engine/formats/model_file.h"
#include "engine/runtime/device_option.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/memory_demand.h"
#include "engine/server/api_keys.h"
#include "engine/server/http_service.h"
#include "engine/server/memory_fit.h"

namespace stepdown::server {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> adapters;
  std::string draft_model;
  std::string verify_digest;
  runtime::EngineOptions engine;
  ServiceOptions service;
  int grace_seconds = 25;
  int max_body_mib = 8;
  std::string api_key_file;
};

std::string with_prefix(const std::string& digest) {
  return digest.starts_with("sha256:") ? digest : "sha256:" + digest;
}

/// The model's digest is also the revision that answers carry, unless another is given.
std::string checked_revision(const Options& options) {
  if (options.verify_digest.empty() && !options.service.revision.empty()) return options.service.revision;
  std::vector<std::string> digests = pinning_digests(options.model);
  for (std::string& digest : digests) digest = with_prefix(digest);
  const std::string wanted = with_prefix(options.verify_digest);
  if (!options.verify_digest.empty() && std::ranges::find(digests, wanted) == digests.end()) {
    throw InputError("the digest is " + digests.back() + ", not " + wanted, options.model,
                     "the artifact was changed or damaged: fetch or quantize it again");
  }
  if (!options.service.revision.empty()) return options.service.revision;
  return options.verify_digest.empty() ? digests.back() : wanted;
}

/// What large requests took goes back: glibc else keeps a heap for each thread that ever parsed one.
void return_freed_memory() {
#if defined(__GLIBC__)
  ::mallopt(M_ARENA_MAX, 4);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}

int serve(Options options) {
  return_freed_memory();
  Shutdown shutdown;
  options.service.revision = with_prefix(checked_revision(options));
  if (options.service.names.empty())
    options.service.names = {std::filesystem::path(options.model).stem().string()};
  options.service.grace = std::chrono::seconds(options.grace_seconds);
  options.service.max_body_bytes = static_cast<std::size_t>(options.max_body_mib) << 20;
  if (!options.api_key_file.empty()) options.service.api_keys = read_api_keys(options.api_key_file);
  options.service.max_connections = std::max<std::size_t>(
      256, options.engine.max_queue + static_cast<std::size_t>(options.engine.max_sequences) + 64);
  auto file =
      formats::open_model(options.model, formats::parse_adapters(options.adapters), formats::Merged::kAsBase);
  const formats::TokenizerData tokenizer = file->tokenizer();
  auto draft = options.draft_model.empty() ? nullptr : formats::open_model(options.draft_model);
  const bool on_cpu = options.engine.device.kind == kernels::cuda::DeviceRequest::Kind::kCpu;
  if (const auto limit = memory_limit(); limit && on_cpu)
    check_memory(*file, draft.get(), options.engine, *limit);
  const auto predicted = runtime::predicted_memory(*file, draft.get(), options.engine);
  runtime::Engine engine(std::move(file), options.engine, std::move(draft));
  if (engine.device() == "cpu") options.service.predicted_memory = predicted;
  HttpService service(engine, tokenizer, options.service);
  std::latch stopped(1);
  shutdown.on_request([&] {
    log::info("stopping: open requests may finish");
    service.stop();
    stopped.count_down();
  });
  log::info("serving", {{"model", options.service.names.front()},
                        {"revision", options.service.revision},
                        {"address", options.service.host + ":" + std::to_string(service.port())},
                        {"context", engine.options().context},
                        {"sequences", engine.options().max_sequences},
                        {"device", engine.device()},
                        {"threads", engine.options().threads}});
  service.run();
  const bool asked = shutdown.requested();
  shutdown.request();
  stopped.wait();  // the action above uses the service
  if (!asked) throw Error("the listener failed", options.service.host);
  return kDone;
}

}  // namespace

Command serve_command() {
  return {
      "serve", "Serve a model with OpenAI's HTTP API", [](CLI::App& app) -> std::function<int()> {
        auto options = std::make_shared<Options>();
        options->engine.draft_tokens = 4;
        static const std::map<std::string, runtime::KvType> kKvTypes = {{"f16", runtime::KvType::kF16},
                                                                        {"int8", runtime::KvType::kInt8},
                                                                        {"fp8", runtime::KvType::kFp8},
                                                                        {"int4", runtime::KvType::kInt4}};
        app.add_option("--model", options->model, "GGUF file, or folder of a model")->required();
        app.add_option("--adapter", options->adapters,
                       "A PEFT LoRA adapter to merge into the model, PATH[=WEIGHT]; may be repeated")
            ->allow_extra_args(false);
        app.add_option("--verify-digest", options->verify_digest,
                       "Refuse to serve unless the model has this digest, sha256:…");
        app.add_option("--revision", options->service.revision,
                       "What answers name as their revision [the digest]");
        app.add_option("--host", options->service.host, "Address to listen on")->capture_default_str();
        app.add_option("--port", options->service.port, "Port to listen on; 0 takes a free one")
            ->capture_default_str()
            ->check(CLI::Range(0, 65535));
        app.add_option("--served-model-name", options->service.names,
                       "Names that clients may use [the file's name]")
            ->allow_extra_args(false);
        app.add_option("--context", options->engine.context,
                       "Tokens a sequence may hold; 0: the model's, at most 8192")
            ->capture_default_str();
        app.add_option("--max-sequences", options->engine.max_sequences, "Sequences decoded together")
            ->capture_default_str()
            ->check(CLI::Range(1, 4096));
        app.add_option("--max-queue", options->engine.max_queue,
                       "Sequences that may wait; beyond it answers are 429")
            ->capture_default_str()
            ->check(CLI::Range(0, 1 << 20));
        app.add_option("--kv-tokens", options->engine.kv_tokens,
                       "Tokens the KV cache holds over all sequences; 0: context × max sequences")
            ->capture_default_str();
        app.add_flag("!--no-prefix-sharing", options->engine.share_prefixes,
                     "Compute every prompt anew, though others began alike");
        app.add_option("--draft-tokens", options->engine.draft_tokens,
                       "Tokens guessed and checked a step; changes the speed, never the answer")
            ->capture_default_str()
            ->check(CLI::Range(0, 16));
        app.add_option("--draft-model", options->draft_model,
                       "A cheaper model of the same vocabulary that guesses them, such as this one quantized "
                       "[guesses come from the text]")
            ->type_name("PATH");
        app.add_option("--kv-type", options->engine.kv_type, "Type of the KV cache")
            ->transform(one_of(kKvTypes))
            ->type_name(model::kKvTypeNames)
            ->default_str("f16");
        app.add_option("--kv-f16-layers", options->engine.f16_kv_layers,
                       "Layers whose cache stays F16: those that failed the attention check of `evaluate`")
            ->delimiter(',')
            ->allow_extra_args(false)
            ->type_name("INDEX,…");
        runtime::add_device_option(app, options->engine.device);
        app.add_option("--threads", options->engine.threads, "Threads that compute; 0: all cores")
            ->capture_default_str()
            ->check(CLI::Range(0, 1024));
        app.add_option("--api-key-file", options->api_key_file,
                       "Keys that clients must bring one of, one a line [all are served]")
            ->check(CLI::ExistingFile);
        auto* certificate = app.add_option("--tls-cert", options->service.tls_certificate,
                                           "PEM certificate chain: serve HTTPS instead of HTTP")
                                ->check(CLI::ExistingFile);
        auto* key = app.add_option("--tls-key", options->service.tls_key, "PEM key of the certificate")
                        ->check(CLI::ExistingFile);
        certificate->needs(key);
        key->needs(certificate);
        app.add_option("--max-body-mib", options->max_body_mib,
                       "Largest request body; beyond it answers are 413")
            ->capture_default_str()
            ->check(CLI::Range(1, 1024));
        app.add_option("--grace-seconds", options->grace_seconds, "Time that open requests get on SIGTERM")
            ->capture_default_str()
            ->check(not_negative());
        return [options] { return serve(*options); };
      }};
}

}  // namespace stepdown::server
