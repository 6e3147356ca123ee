#include <atomic>
#include <chrono>

#include <httplib.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/eval/answerer.h"
#include "engine/eval/dataset.h"

namespace stepdown::eval {
namespace {

using Clock = std::chrono::steady_clock;

/// Servers want the arguments of calls as a text.
nlohmann::ordered_json as_sent(nlohmann::ordered_json messages) {
  for (auto& message : messages) {
    const auto calls = message.find("tool_calls");
    if (calls == message.end() || !calls->is_array()) continue;
    for (auto& call : *calls) {
      auto& function = call["function"];
      const auto arguments = function.find("arguments");
      if (arguments != function.end() && arguments->is_object()) *arguments = arguments->dump();
    }
  }
  return messages;
}

/// Servers read calls out of the text; suites judge a text that they stand in, as most models write them.
std::string text_of(const nlohmann::json& message) {
  const auto calls = message.find("tool_calls");
  const bool called = calls != message.end() && calls->is_array() && !calls->empty();
  // Beside calls it may be null or missing.
  const nlohmann::json content = called ? message.value("content", nlohmann::json()) : message.at("content");
  std::string text = content.is_string() ? content.get<std::string>() : std::string();
  if (!called) return text;
  for (const auto& call : *calls) {
    const auto& function = call.at("function");
    const nlohmann::ordered_json written = {{"name", function.at("name")},
                                            {"arguments", function.at("arguments")}};
    text += "<tool_call>\n" + written.dump() + "\n</tool_call>\n";
  }
  return text;
}

class HttpAnswerer : public Answerer {
 public:
  HttpAnswerer(const std::string& url, std::string model, std::string api_key)
      : model_(std::move(model)), api_key_(std::move(api_key)) {
    const std::size_t scheme = url.find("://");
    const std::string name = url.substr(0, scheme);
    if (scheme == std::string::npos || (name != "http" && name != "https")) {
      throw InputError("not an http or https URL", url, "give the API's root, e.g. http://127.0.0.1:8000/v1");
    }
    const std::size_t path = url.find('/', scheme + 3);
    origin_ = url.substr(0, path);
    path_ = path == std::string::npos ? "" : url.substr(path);
    while (path_.ends_with('/')) path_.pop_back();
  }

  Answer answer(const Sample& sample, const AnswerOptions& options) override {
    nlohmann::ordered_json body = {{"model", model_},
                                   {"messages", as_sent(sample.messages)},
                                   {"max_tokens", options.max_tokens},
                                   {"temperature", 0}};
    if (!sample.tools.is_null()) body["tools"] = sample.tools;
    if (options.schema != nullptr) {
      body["response_format"] = {
          {"type", "json_schema"},
          {"json_schema", {{"name", "answer"}, {"strict", true}, {"schema", *options.schema}}}};
    }
    // A client an answer: httplib's client serves one request at a time, and this is called from many
    // threads.
    httplib::Client client(origin_);
    client.set_read_timeout(std::chrono::minutes(10));
    if (!api_key_.empty()) client.set_bearer_token_auth(api_key_);
    const auto start = Clock::now();
    const auto reply = client.Post(path_ + "/chat/completions", body.dump(), "application/json");
    Answer result;
    result.latency_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    result.finish_reason = "error";
    if (!reply && !answered_) {  // not one prompt after the other of a server that is not there
      throw Error("no answer from " + origin_ + " (" + httplib::to_string(reply.error()) + ")", "--url",
                  "start the server, or give its address");
    }
    answered_ = true;
    if (!reply) {
      result.error = "no answer from " + origin_ + ": " + httplib::to_string(reply.error());
      return result;
    }
    if (reply->status != 200) {
      result.error = "HTTP " + std::to_string(reply->status) + " " + reply->body.substr(0, 300);
      return result;
    }
    read_completion(reply->body, result);
    return result;
  }

 private:
  static void read_completion(const std::string& body, Answer& result) {
    try {
      const auto json = nlohmann::json::parse(body);
      const auto& choice = json.at("choices").at(0);
      result.text = text_of(choice.at("message"));
      const auto& finish = choice.at("finish_reason");
      result.finish_reason =
          finish.is_string() && finish != "tool_calls" ? finish.get<std::string>() : "stop";
      if (const auto usage = json.find("usage"); usage != json.end()) {
        result.tokens = usage->value("completion_tokens", std::int64_t{0});
      }
    } catch (const nlohmann::json::exception& error) {
      result.finish_reason = "error";
      result.error = std::string("not a chat completion: ") + error.what();
    }
  }

  std::atomic<bool> answered_ = false;
  std::string origin_;
  std::string path_;
  std::string model_;
  std::string api_key_;
};

}  // namespace

std::unique_ptr<Answerer> make_http_answerer(const std::string& url, const std::string& model,
                                             const std::string& api_key) {
  return std::make_unique<HttpAnswerer>(url, model, api_key);
}

}  // namespace stepdown::eval
