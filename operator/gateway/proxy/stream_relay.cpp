#include "operator/gateway/proxy/stream_relay.h"

#include "operator/gateway/http/sse.h"
#include "operator/gateway/judge/member.h"
#include "operator/gateway/proxy/requests.h"

namespace stepdown::gateway {

using nlohmann::json;

namespace {

constexpr std::chrono::seconds kSlowClient{1};
constexpr std::size_t kMostHeld = 1UL << 20U;  // bytes before the first token

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// A stream that ended with such a fault is whole in form: the client has it, good or bad.
bool ended_in_form(Fault fault) {
  return fault == Fault::kNone || fault == Fault::kLooping || fault == Fault::kTruncated ||
         fault == Fault::kCollapse || fault == Fault::kEmpty;
}

}  // namespace

Task<StreamRelay::End> StreamRelay::feed(Source source) {
  const Request request = proxy_.hop(job_, source.digest, source.body);
  Upstreams::Reply reply = co_await proxy_.reach(job_, source.digest, request, source.priority);
  End end;
  if (!reply.call) {
    proxy_.note_missing(source.digest, reply.failure);
    end.refusal = proxy_.no_answer(reply.failure);
    end.fault = end.refusal->judgement.fault;
    co_return end;
  }
  HttpClient::Answer& answer = reply.call->answer;
  revision_ = std::string(find_header(answer.headers(), "x-stepdown-revision"));
  if (answer.status() != 200 ||
      !find_header(answer.headers(), "content-type").starts_with("text/event-stream")) {
    end.refusal = co_await proxy_.read_whole(job_, source.digest, *reply.call);
    if (end.refusal->judgement.passed()) end.refusal->judgement.fault = Fault::kMalformed;
    end.fault = end.refusal->judgement.fault;
    co_return end;
  }

  StreamJudge judge(job_.expected, text_, source.arm == Arm::kFp16);
  SseDecoder decoder;
  std::vector<Held> held;
  std::size_t held_bytes = 0;
  const bool continues = released_;
  for (;;) {
    Outcome<std::string> piece = co_await answer.read();
    if (!piece && piece.error.kind == NetError::Kind::kGivenUp) {
      end.client_gone = true;
      co_return end;
    }
    if (!piece) {
      const bool timeout = piece.error.kind == NetError::Kind::kTimeout;
      end.fault = timeout ? Fault::kTimeout : Fault::kConnection;
      Asked broken;
      // An engine that was held up by a slow client may give up on it: nobody may trip a revision that way.
      broken.counts =
          blocked_ < kSlowClient && proxy_.upstreams_->broke(source.digest, *reply.call, piece.error);
      broken.judgement.fault = end.fault;
      end.refusal = std::move(broken);
      co_return end;
    }
    std::vector<std::string> events;
    if (!decoder.feed(*piece.value, events)) {
      end.fault = Fault::kMalformed;
      co_return end;
    }
    for (std::string& event : events) {
      if (event == "[DONE]") {
        end = co_await close(source, judge, held);
        // Read the end of the body too: a connection is kept for the next request only when it is drained.
        co_await answer.read();
        co_return end;
      }
      json chunk =
          nests_too_deep(event) ? json(json::value_t::discarded) : json::parse(event, nullptr, false);
      const Fault fault = judge.add(chunk);
      if (fault != Fault::kNone && (fault != Fault::kLooping || !released_)) {
        end.fault = fault;
        co_return end;
      }
      if (continues) {
        std::optional<std::string> rewritten = as_continued(std::move(chunk), source);
        if (!rewritten) continue;
        event = std::move(*rewritten);
      } else if (first_chunk_.is_null()) {
        first_chunk_ = std::move(chunk);
      }
      held_bytes += event.size();
      held.push_back({std::move(event), judge.accepted().size()});
    }
    if (!released_ && held_bytes > kMostHeld) {
      end.fault = Fault::kMalformed;
      co_return end;
    }
    const bool judged = released_ || judge.content_chunks() >= source.held_chunks;
    if (judged && !judge.finished() && !co_await flush(source, judge, held)) {
      end.client_gone = true;
      co_return end;
    }
    if (piece.value->empty()) {
      end = co_await close(source, judge, held);
      co_return end;
    }
  }
}

Task<StreamRelay::End> StreamRelay::close(const Source& source, const StreamJudge& judge,
                                          std::vector<Held>& held) {
  End end;
  end.fault = judge.finish(proxy_.control_);
  end.mean_logprob = judge.mean_logprob();
  // FP16 cannot better a document that is no more to be continued: the client has it.
  const bool last_word = end.fault == Fault::kSchema && (source.arm == Arm::kFp16 || !judge.continuable());
  const bool show =
      end.fault == Fault::kNone || ((ended_in_form(end.fault) || last_word) &&
                                    (released_ || !source.retried.empty() || source.arm == Arm::kFp16));
  if (show) {
    end.complete = co_await finish(source, judge, held);
    end.client_gone = !end.complete;
  }
  co_return end;
}

Task<bool> StreamRelay::flush(const Source& source, const StreamJudge& judge, std::vector<Held>& held) {
  if (!released_) {
    Headers headers = {{"content-type", "text/event-stream"},
                       {"cache-control", "no-cache"},
                       {"x-request-id", job_.id},
                       {"x-stepdown-route", std::string(name(source.arm))}};
    if (!revision_.empty()) headers.push_back({"x-stepdown-revision", revision_});
    if (!source.retried.empty()) headers.push_back({"x-stepdown-retried", std::string(source.retried)});
    released_ = true;
    const bool begun = co_await exchange_.begin(200, headers);
    if (!begun) co_return false;
  }
  if (held.empty()) co_return true;
  std::string bytes;
  for (const Held& chunk : held) bytes += sse_event(chunk.data);
  text_ = judge.accepted().substr(0, held.back().text_size);
  tokens_ += held.size();
  held.clear();
  const auto began = std::chrono::steady_clock::now();
  const bool written = co_await exchange_.write(bytes);
  blocked_ += std::chrono::steady_clock::now() - began;
  co_return written;
}

Task<bool> StreamRelay::finish(const Source& source, const StreamJudge& judge, std::vector<Held>& held) {
  held.push_back({"[DONE]", judge.accepted().size()});
  const bool written = co_await flush(source, judge, held);
  if (!written) co_return false;
  co_return co_await exchange_.end();
}

// A chunk of the engine that took over, as one of the stream that the client already has.
std::optional<std::string> StreamRelay::as_continued(json chunk, const Source& source) {
  const json& choices = member(chunk, "choices");
  if (choices.is_array() && !choices.empty()) {
    const json& choice = choices.front();
    const json& delta = member(choice, "delta");
    const json& text = member(delta, "content");
    const bool no_text = text.is_null() || (text.is_string() && text.get_ref<const std::string&>().empty());
    const bool only_role = delta.is_object() && member(choice, "finish_reason").is_null() && no_text &&
                           !delta.contains("tool_calls");
    if (only_role) return std::nullopt;
  }
  for (const char* field : {"id", "created", "model"}) {
    const json& value = member(first_chunk_, field);
    if (!value.is_null()) chunk[field] = value;
  }
  if (chunk.contains("stepdown") && chunk["stepdown"].is_object())
    chunk["stepdown"]["retried"] = source.retried;
  return dump(chunk);
}

Task<> StreamRelay::fail(std::string_view message) {
  const json error = {{"error", {{"message", message}, {"type", "server_error"}, {"code", "stream_broken"}}}};
  const std::string event = sse_event(dump(error));
  const bool written = co_await exchange_.write(event);
  if (written) co_await exchange_.end();
}

}  // namespace stepdown::gateway
