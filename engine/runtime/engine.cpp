#include "engine/runtime/engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/base/error.h"
#include "engine/runtime/scheduler.h"

namespace stepdown::runtime {

EngineOptions resolved(EngineOptions options, const formats::ModelConfig& config) {
  constexpr std::int64_t kDefaultContext = 8192;
  const std::int64_t longest = config.context_length > 0 ? config.context_length : kDefaultContext;
  if (options.context == 0) options.context = std::min(longest, kDefaultContext);
  if (options.context < 2 || options.context > longest) {
    throw InputError("a context of " + std::to_string(options.context) + " tokens does not fit this model",
                     "context", "give 2 to " + std::to_string(longest));
  }
  if (options.max_sequences < 1) throw InputError("no sequence may run", "max sequences", "give at least 1");
  if (options.threads <= 0) options.threads = kernels::usable_processors();
  if (options.kv_tokens == 0) options.kv_tokens = options.context * options.max_sequences;
  if (options.kv_tokens < options.context) {
    throw InputError("a KV cache of " + std::to_string(options.kv_tokens) + " tokens holds no whole context",
                     "kv tokens", "give at least the context, " + std::to_string(options.context));
  }
  options.draft_tokens = std::clamp<std::int64_t>(options.draft_tokens, 0, 16);
  options.prefill_chunk = std::clamp<std::int64_t>(options.prefill_chunk, 1, options.context);
  return options;
}

namespace {

std::int64_t pages_for(const EngineOptions& options) {
  constexpr std::int64_t kPage = model::KvCache::kPageTokens;
  const std::int64_t context = (options.context + kPage - 1) / kPage;
  return std::clamp((options.kv_tokens + kPage - 1) / kPage, context, context * options.max_sequences);
}

}  // namespace

struct Engine::State {
  State(std::unique_ptr<formats::ModelFile> opened, const EngineOptions& wanted,
        std::unique_ptr<formats::ModelFile> draft)
      : file(std::move(opened)),
        options(resolved(wanted, file->config())),
        tokenizer(std::make_shared<const tokenizer::Tokenizer>(file->tokenizer())),
        constraints(tokenizer),
        pool(options.threads),
        decoder(model::make_decoder(
            *file,
            {.context = options.context,
             .max_rows = options.prefill_chunk + options.max_sequences * (1 + options.draft_tokens),
             .kv_pages = pages_for(options),
             .kv_type = options.kv_type,
             .f16_kv_layers = options.f16_kv_layers,
             .last_use_of_file = true,
             .device = options.device},
            pool)),
        draft_model(draft == nullptr ? nullptr
                                     : std::make_unique<DraftModel>(std::move(draft), file->tokenizer(),
                                                                    options, pages_for(options), pool)),
        scheduler(options, file->config(), *decoder, draft_model.get(), pool, *tokenizer,
                  pages_for(options)) {}

  void check(std::span<const TokenId> tokens) const {
    const auto valid = [&](TokenId token) { return token >= 0 && token < file->config().vocab; };
    const auto wrong = std::ranges::find_if_not(tokens, valid);
    if (wrong == tokens.end()) return;
    throw InputError("token " + std::to_string(*wrong) + " is outside the vocabulary of " +
                         std::to_string(file->config().vocab),
                     "prompt token " + std::to_string(wrong - tokens.begin()),
                     "encode with this model's tokenizer");
  }

  void check_length(std::span<const TokenId> tokens) const {
    check(tokens);
    if (static_cast<std::int64_t>(tokens.size()) <= options.context) return;
    throw InputError("cannot take in " + std::to_string(tokens.size()) + " tokens at once", "input",
                     "give at most the context, " + std::to_string(options.context));
  }

  void check_text(std::span<const TokenId> tokens) const {
    check_length(tokens);
    if (tokens.empty()) throw InputError("the text is empty", "input", "give at least one token");
  }

  std::unique_ptr<formats::ModelFile> file;
  EngineOptions options;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  ConstraintFactory constraints;
  kernels::ThreadPool pool;
  std::unique_ptr<model::Decoder> decoder;
  std::unique_ptr<DraftModel> draft_model;
  Scheduler scheduler;
};

Engine::Engine(std::unique_ptr<formats::ModelFile> file, const EngineOptions& options,
               std::unique_ptr<formats::ModelFile> draft)
    : state_(std::make_unique<State>(std::move(file), options, std::move(draft))) {}

Engine::~Engine() = default;

Engine::Submitted Engine::submit(GenerateRequest request) {
  std::vector<GenerateRequest> requests;
  requests.push_back(std::move(request));
  const SubmittedAll all = submit_all(std::move(requests));
  return {.id = all.refusal ? 0 : all.ids.front(), .refusal = all.refusal};
}

Engine::SubmittedAll Engine::submit_all(std::vector<GenerateRequest> requests) {
  for (GenerateRequest& request : requests) {
    state_->check(request.prompt);
    if (request.prompt.empty() && state_->tokenizer->bos() >= 0) request.prompt = {state_->tokenizer->bos()};
    if (request.prompt.empty()) throw InputError("the prompt is empty", "prompt", "give at least one token");
  }
  return state_->scheduler.submit(std::move(requests));
}

Engine::SubmittedAll Engine::submit_all(std::vector<EmbedRequest> requests) {
  for (const EmbedRequest& request : requests) state_->check_text(request.tokens);
  return state_->scheduler.submit(std::move(requests));
}

std::size_t Engine::most_at_once() const {
  return most_sequences(state_->options);
}

void Engine::cancel(RequestId id) {
  state_->scheduler.cancel(id);
}

std::vector<float> Engine::score(std::span<const TokenId> tokens) {
  state_->check_length(tokens);
  if (tokens.size() < 2) return {};
  return state_->scheduler.measure(tokens, Purpose::kScore).get();
}

std::vector<float> Engine::embed(std::span<const TokenId> tokens) {
  state_->check_text(tokens);
  return state_->scheduler.measure(tokens, Purpose::kEmbed).get();
}

EngineStats Engine::stats() const {
  return state_->scheduler.stats();
}
const formats::ModelConfig& Engine::config() const {
  return state_->file->config();
}
const EngineOptions& Engine::options() const {
  return state_->options;
}
std::string_view Engine::device() const {
  return state_->decoder->device();
}
std::shared_ptr<const tokenizer::Tokenizer> Engine::tokenizer() const {
  return state_->tokenizer;
}
ConstraintFactory& Engine::constraints() {
  return state_->constraints;
}

}  // namespace stepdown::runtime
