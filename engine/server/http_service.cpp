#include "engine/server/http_service.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <random>
#include <thread>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/listen.h"
#include "engine/base/log.h"
#include "engine/server/api_error.h"
#include "engine/server/api_keys.h"
#include "engine/server/embeddings.h"
#include "engine/server/generation.h"
#include "engine/server/heartbeat.h"
#include "engine/server/metrics.h"
#include "engine/server/open.h"
#include "engine/server/prompt_builder.h"
#include "engine/server/responses.h"
#include "engine/server/watched_server.h"

namespace stepdown::server {
namespace {

using namespace std::chrono_literals;
using nlohmann::ordered_json;

constexpr const char* kJson = "application/json";
/// All that is served: metrics must not grow with what clients make up.
constexpr std::array<std::string_view, 8> kPaths = {
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings",
    "/v1/models",           "/healthz",        "/readyz",       "/metrics"};
constexpr auto kTurn = 100ms;  // how often a waiting request looks whether its client is still there
constexpr const char* kEvents = "text/event-stream";
constexpr int kHungUp = 499;  // nginx's status for a client that did not wait; nobody reads it but /metrics

std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void answer(httplib::Response& out, const ApiError& error) {
  out.status = error.status();
  if (error.status() == 503) out.set_header("Retry-After", "1");
  if (error.status() == 401) out.set_header("WWW-Authenticate", "Bearer");
  out.set_content(dump(error.body()), kJson);
}

std::string random_id(std::mt19937_64& random) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id;
  for (int i = 0; i < 24; ++i) id += kDigits[random() % 16];
  return id;
}

/// A stream on its way out: the update that was awaited before the status line, then all that follow.
struct Stream {
  Open opened;
  std::unique_ptr<Generation> generation;
  std::unique_ptr<AnswerStream> format;
  std::optional<Generation::Update> first;
};

/// The APIs that generate.
enum class Api { kChat, kCompletions, kResponses };

const char* id_prefix(Api api) {
  return api == Api::kChat ? "chatcmpl-" : api == Api::kCompletions ? "cmpl-" : "resp_";
}

std::chrono::steady_clock::time_point deadline_of(const Standing& standing) {
  if (!standing.deadline) return std::chrono::steady_clock::time_point::max();
  return std::chrono::steady_clock::now() + *standing.deadline;
}

Request request_of(const ordered_json& body, Api api, std::uint64_t seed) {
  if (api != Api::kResponses) return read_request(body, api == Api::kChat, seed);
  const ordered_json chat = chat_body_of_response(body);
  try {
    return read_request(chat, true, seed);
  } catch (const ApiError& error) {
    throw error_of_response(error);
  }
}

}  // namespace

struct HttpService::State {
  State(runtime::Engine& e, const formats::TokenizerData& tokenizer, ServiceOptions given)
      : engine(e),
        options(std::move(given)),
        metrics(options.names.front(), options.revision),
        prompts(e.tokenizer(), tokenizer),
        heartbeat(e) {}

  void install();
  /// Throws ApiError for those who may not ask, and when the server stops.
  void admit(const httplib::Request& http_request) const;
  void check_model(const std::string& model) const;
  std::vector<runtime::GenerateRequest> sequences_of(const Request& request,
                                                     const schema::AnswerLanguage& language,
                                                     AnswerHead& head);
  /// What of the answer stands in the prompt already.
  std::string written_by(const Request& request) const;
  /// What the answer must be: the document of a call where one is asked for.
  schema::AnswerLanguage language_of(const Request& request) const;
  std::unique_ptr<runtime::TokenConstraint> constraint_of(const Request& request,
                                                          const schema::AnswerLanguage& language);
  void embed(const httplib::Request& http_request, httplib::Response& out);
  /// Seconds until the queue will have moved on, by what requests took lately.
  std::string retry_after() const;
  void complete(const httplib::Request& http, httplib::Response& out, Api api);
  std::unique_ptr<Generation> start(const ordered_json& body, Api api, const httplib::Request& http_request);
  /// Throws ApiError when the client hung up or the server stops. Looks now and then, however often it is
  /// called.
  auto watch(const httplib::Request& http_request) const {
    return [this, &http_request, looked = std::chrono::steady_clock::now()]() mutable {
      if (grace_over) throw ApiError(503, "shutting_down", "the server is shutting down");
      const auto now = std::chrono::steady_clock::now();
      if (now - looked < kTurn) return;
      looked = now;
      if (!client_waits(http_request)) throw ApiError(kHungUp, "client_hung_up", "the client hung up");
    };
  }
  /// Whose request it is: one who shows a key may have several users. Hashed: neither keys nor long names are
  /// kept.
  static std::string client_of(const httplib::Request& http_request, const Standing& standing);
  void send_stream(const std::string& path, httplib::Response& out, std::shared_ptr<Stream> stream);
  static bool stream_turn(Stream& stream, httplib::DataSink& sink);
  void models(httplib::Response& out) const;

  runtime::Engine& engine;
  ServiceOptions options;
  Metrics metrics;
  PromptBuilder prompts;
  Heartbeat heartbeat;
  WatchedServer http;
  Listener<WatchedServer> listener{http};
  int port = 0;
  std::atomic<bool> stopping = false;
  std::atomic<bool> grace_over = false;  ///< open requests end now
  std::atomic<int> open = 0;
  std::mutex random_mutex;
  std::mt19937_64 random{std::random_device{}()};
};

void HttpService::State::admit(const httplib::Request& http_request) const {
  if (!options.api_keys.empty() &&
      !is_authorized(http_request.get_header_value("Authorization"), options.api_keys))
    throw ApiError(401, "invalid_api_key",
                   "the API key is missing or wrong; send it as 'Authorization: Bearer KEY'");
  if (stopping) throw ApiError(503, "shutting_down", "the server is shutting down");
}

void HttpService::State::check_model(const std::string& model) const {
  if (std::ranges::find(options.names, model) != options.names.end()) return;
  throw ApiError(404, "model_not_found",
                 "the model '" + model + "' does not exist; this server has '" + options.names.front() + "'",
                 "model");
}

std::unique_ptr<Generation> HttpService::State::start(const ordered_json& body, Api api,
                                                      const httplib::Request& http_request) {
  const bool chat = api != Api::kCompletions;
  AnswerHead head;
  std::uint64_t seed = 0;
  {
    const std::lock_guard lock(random_mutex);
    head.id = id_prefix(api) + random_id(random);
    seed = random();
  }
  Request request = request_of(body, api, seed);
  check_model(request.model);
  check_bias(request.sampling, engine.config().vocab);
  head.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  head.model = request.model;
  head.revision = options.revision;
  head.chat = chat;
  const schema::AnswerLanguage language = language_of(request);
  std::vector<runtime::GenerateRequest> sequences = sequences_of(request, language, head);
  std::optional<schema::PrefixMatcher> matcher = language.matcher();
  const std::string written = written_by(request);
  if (matcher) matcher->accept(written);
  const std::string client = client_of(http_request, request.standing);
  for (runtime::GenerateRequest& sequence : sequences) sequence.client = client;
  try {
    return std::make_unique<Generation>(engine, metrics, std::move(request), std::move(head),
                                        std::move(sequences), prompts.tool_format(), matcher, written);
  } catch (const InputError& error) {  // ids outside the vocabulary, an empty prompt
    throw ApiError(400, "invalid_value", error.what(), chat ? "messages" : "prompt");
  }
}

std::vector<runtime::GenerateRequest> HttpService::State::sequences_of(const Request& request,
                                                                       const schema::AnswerLanguage& language,
                                                                       AnswerHead& head) {
  std::vector<runtime::GenerateRequest> sequences;
  const auto all = prompts.build(request);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto length = static_cast<std::int64_t>(all[i].size());
    if (i % static_cast<std::size_t>(request.n) == 0) head.prompt_tokens += length;
    if (length >= engine.options().context) {
      throw ApiError(400, "context_length_exceeded",
                     "the prompt has " + std::to_string(length) + " tokens, the context only " +
                         std::to_string(engine.options().context) +
                         "; shorten it, or serve with a larger --context",
                     request.chat ? "messages" : "prompt");
    }
    runtime::GenerateRequest sequence;
    sequence.prompt = all[i];
    sequence.max_tokens =
        std::min(request.max_tokens.value_or(engine.options().context), engine.options().context - length);
    sequence.sampling = request.sampling;
    sequence.sampling.seed += i;
    sequence.top_logprobs = request.top_logprobs;
    sequence.ignore_end = request.ignore_end;
    sequence.priority = request.standing.priority;
    sequence.deadline = deadline_of(request.standing);
    sequence.constraint = constraint_of(request, language);
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

std::string HttpService::State::written_by(const Request& request) const {
  if (!request.continue_final_message) return {};
  auto written = request.messages.back()["content"].get<std::string>();
  if (request.tools.choice != ToolUse::Choice::kRequired) return written;
  return std::string(begun_call(prompts.tool_format(), written).value_or(""));
}

schema::AnswerLanguage HttpService::State::language_of(const Request& request) const {
  if (request.tools.choice == ToolUse::Choice::kNone || !request.language.any_text()) return request.language;
  try {
    if (request.tools.choice == ToolUse::Choice::kAuto)
      return {.grammar = free_call_grammar(prompts.tool_format(), request.tools)};
    return {.schema = forced_call(prompts.tool_format(), request.tools)};
  } catch (const InputError& error) {
    throw ApiError(400, "unsupported_schema", error.what(), "tools");
  }
}

std::unique_ptr<runtime::TokenConstraint> HttpService::State::constraint_of(
    const Request& request, const schema::AnswerLanguage& language) {
  if (language.any_text()) return nullptr;
  const std::string written = written_by(request);
  auto constraint = language.schema ? engine.constraints().make(language.schema, written)
                                    : engine.constraints().make(language.grammar, written);
  if (constraint) return constraint;
  throw ApiError(400, "invalid_value", "the last message is no beginning of what the answer must be",
                 "messages");
}

std::string HttpService::State::client_of(const httplib::Request& http_request, const Standing& standing) {
  return sha256_hex(http_request.get_header_value("Authorization") + '\n' + standing.user);
}

void HttpService::State::embed(const httplib::Request& http_request, httplib::Response& out) {
  const Open opened(open);
  admit(http_request);
  const EmbeddingRequest request = parse_embedding_request(http_request.body);
  check_model(request.model);
  std::vector<runtime::EmbedRequest> texts;
  std::int64_t tokens = 0;
  for (const Prompt& input : request.inputs) {
    texts.push_back({.tokens = prompts.encode(input),
                     .priority = request.standing.priority,
                     .client = client_of(http_request, request.standing),
                     .deadline = deadline_of(request.standing)});
    tokens += static_cast<std::int64_t>(texts.back().tokens.size());
  }
  Embedding embedding(engine, std::move(texts));
  auto look = watch(http_request);
  while (!embedding.done_within(kTurn)) look();
  metrics.prompt_tokens(tokens);
  out.set_content(dump(embeddings_json(request, embedding.vectors(), tokens)), kJson);
}

std::string HttpService::State::retry_after() const {
  const runtime::EngineStats stats = engine.stats();
  const double turns =
      static_cast<double>(stats.waiting) / static_cast<double>(engine.options().max_sequences);
  return std::to_string(static_cast<int>(std::clamp(std::ceil(turns * stats.typical_seconds), 1.0, 60.0)));
}

void HttpService::State::complete(const httplib::Request& http_request, httplib::Response& out, Api api) {
  const Open opened(open);
  admit(http_request);
  const ordered_json body = parse_body(http_request.body);
  std::unique_ptr<Generation> generation = start(body, api, http_request);
  auto look = watch(http_request);
  // An error before the first token is an HTTP error, for streams too.
  std::optional<Generation::Update> first;
  while (!first) {
    first = generation->next(kTurn);
    look();
  }
  const bool responses = api == Api::kResponses;
  if (generation->request().stream) {
    std::unique_ptr<AnswerStream> format;
    if (responses) {
      format = std::make_unique<ResponseStream>(body);
    } else {
      format = std::make_unique<ChunkStream>(generation->choices().size());
    }
    auto stream =
        std::make_shared<Stream>(Stream{Open(open), std::move(generation), std::move(format), first});
    return send_stream(http_request.path, out, std::move(stream));
  }
  while (!generation->done()) {
    generation->next(kTurn);
    look();
  }
  const AnswerHead& head = generation->head();
  const auto answer =
      responses ? response_json(head, body, generation->choices()[0], generation->confidence())
                : answer_json(head, generation->request(), generation->choices(), generation->confidence());
  out.set_content(dump(answer), kJson);
}

bool HttpService::State::stream_turn(Stream& stream, httplib::DataSink& sink) {
  try {
    const auto update =
        stream.first ? std::exchange(stream.first, std::nullopt) : stream.generation->next(kTurn);
    if (!update) return sink.is_writable();
    const std::string text = stream.format->events(*stream.generation, *update);
    if (!text.empty() && !sink.write(text.data(), text.size())) return false;
    if (stream.generation->done()) sink.done();
  } catch (const ApiError& error) {
    const std::string text = stream.format->failure(error);
    if (sink.write(text.data(), text.size())) sink.done();
  }
  return true;
}

void HttpService::State::send_stream(const std::string& path, httplib::Response& out,
                                     std::shared_ptr<Stream> stream) {
  out.set_header("Cache-Control", "no-cache");
  out.set_chunked_content_provider(
      kEvents,
      [stream = std::move(stream)](std::size_t /*offset*/, httplib::DataSink& sink) {
        return stream_turn(*stream, sink);
      },
      [this, path](bool whole) {
        metrics.answered(path, whole ? 200 : grace_over ? 503 : kHungUp);
      });
}

void HttpService::State::models(httplib::Response& out) const {
  ordered_json list = ordered_json::array();
  for (const std::string& name : options.names) {
    list.push_back({{"id", name},
                    {"object", "model"},
                    {"created", 0},
                    {"owned_by", "stepdown"},
                    {"root", options.revision},
                    {"max_model_len", engine.options().context}});
  }
  out.set_content(dump({{"object", "list"}, {"data", std::move(list)}}), kJson);
}

void HttpService::State::install() {
  http.set_connections(options.max_connections);
  http.set_payload_max_length(options.max_body_bytes);
  http.set_keep_alive_max_count(1'000'000);
  http.set_tcp_nodelay(true);
  const auto guarded = [this](auto handler) {
    return [this, handler](const httplib::Request& request, httplib::Response& out) {
      try {
        handler(request, out);
      } catch (const ApiError& error) {
        answer(out, error);
        if (error.status() == 429) out.set_header("Retry-After", retry_after());
      }
    };
  };
  const auto generating = [this](Api api) {
    return
        [this, api](const httplib::Request& request, httplib::Response& out) { complete(request, out, api); };
  };
  http.Post("/v1/chat/completions", guarded(generating(Api::kChat)));
  http.Post("/v1/completions", guarded(generating(Api::kCompletions)));
  http.Post("/v1/responses", guarded(generating(Api::kResponses)));
  http.Post("/v1/embeddings", guarded([this](const httplib::Request& request, httplib::Response& out) {
              embed(request, out);
            }));
  http.Get("/v1/models", guarded([this](const httplib::Request& request, httplib::Response& out) {
             admit(request);
             models(out);
           }));
  http.Get("/healthz", [this](const httplib::Request&, httplib::Response& out) {
    const bool stuck = heartbeat.stuck();
    if (stuck) out.status = 503;
    out.set_content(stuck ? "a step does not end: a restart is needed\n" : "ok\n", "text/plain");
  });
  http.Get("/readyz", [this](const httplib::Request&, httplib::Response& out) {
    const char* reason = stopping            ? "shutting down\n"
                         : heartbeat.alive() ? "ok\n"
                                             : "no step was decoded lately\n";
    if (stopping || !heartbeat.alive()) out.status = 503;
    out.set_content(reason, "text/plain");
  });
  http.Get("/metrics", [this](const httplib::Request&, httplib::Response& out) {
    out.set_content(metrics.expose(engine.stats(), options.predicted_memory),
                    "text/plain; version=0.0.4; charset=utf-8");
  });
  http.set_exception_handler(
      [](const httplib::Request&, httplib::Response& out, const std::exception_ptr& thrown) {
        try {
          std::rethrow_exception(thrown);
        } catch (const std::exception& error) {
          log::error("request failed", {{"error", error.what()}});
          answer(out, ApiError(500, "internal_error", error.what()));
        }
      });
  // What cpp-httplib answers by itself has no body: unknown paths, bodies too large, malformed HTTP.
  http.set_error_handler([](const httplib::Request& request, httplib::Response& out) {
    if (!out.body.empty()) return;
    const char* what = out.status == 404   ? "there is nothing at this path"
                       : out.status == 413 ? "the body is too large"
                                           : "the request is malformed";
    answer(out, ApiError(out.status, out.status == 404 ? "not_found" : "invalid_request",
                         request.path.empty() ? what : request.path.substr(0, 200) + ": " + what));
  });
  http.set_refusal([this](const FramingError& error) {
    metrics.answered("other", error.status);
    return dump(ApiError(error.status, "invalid_request", "malformed request: " + error.what).body());
  });
  http.set_post_routing_handler([this](const httplib::Request& request, httplib::Response& out) {
    out.set_header("x-stepdown-revision", options.revision);
    const std::string id = request.get_header_value("x-request-id");
    if (!id.empty() && id.size() <= 256) out.set_header("x-request-id", id);
    const bool known = std::ranges::find(kPaths, request.path) != kPaths.end();
    if (out.get_header_value("Content-Type") == kEvents) return;  // counted at its end
    metrics.answered(known ? request.path : "other", out.status);
  });
}

HttpService::HttpService(runtime::Engine& engine, const formats::TokenizerData& tokenizer,
                         ServiceOptions options)
    : state_(std::make_unique<State>(engine, tokenizer, std::move(options))) {
  if (!state_->options.tls_certificate.empty())
    state_->http.use_tls(state_->options.tls_certificate, state_->options.tls_key);
  state_->install();
  const ServiceOptions& o = state_->options;
  state_->port = bind_alone(state_->http, o.host, o.port);
  if (state_->port == 0)
    throw InputError("cannot listen on port " + std::to_string(o.port), o.host,
                     "is the address this machine's and the port free?");
}

HttpService::~HttpService() = default;

int HttpService::port() const {
  return state_->port;
}

void HttpService::run() {
  state_->listener.run();
}

void HttpService::stop() {
  state_->stopping = true;
  const auto deadline = std::chrono::steady_clock::now() + state_->options.grace;
  while (state_->open > 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(20ms);
  state_->grace_over = true;
  if (state_->open > 0) log::warn("the grace period is over", {{"open_requests", state_->open.load()}});
  state_->listener.stop();
}

}  // namespace stepdown::server
