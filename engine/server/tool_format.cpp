#include "engine/server/tool_format.h"

#include <algorithm>
#include <array>

#include "engine/base/bounded_json.h"
#include "engine/base/json_nesting.h"
#include "engine/server/call_grammar.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;
using Calls = std::optional<std::vector<ToolCall>>;

constexpr std::string_view kSpaces = " \t\n\r";

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpaces), text.size()));
  return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

/// Takes one JSON value off the front; discarded when there is none.
ordered_json take_json(std::string_view& text) {
  text = trimmed(text);
  // A value ends where its brackets do: answers may go on behind it.
  JsonNesting nesting;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool within = nesting.depth() > 0;
    nesting.take(text[i]);
    if (nesting.depth() > 0 || nesting.in_string()) continue;
    if (!within) break;  // no container
    auto value = parse_bounded(text.substr(0, i + 1));
    text.remove_prefix(i + 1);
    return value;
  }
  return ordered_json(ordered_json::value_t::discarded);
}

std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// {"name": …, "arguments" or "parameters": {…}}
bool add_call(const ordered_json& json, std::vector<ToolCall>& calls) {
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string()) return false;
  const auto arguments =
      json.contains("arguments") ? json["arguments"] : json.value("parameters", ordered_json::object());
  calls.push_back({json["name"].get<std::string>(),
                   arguments.is_string() ? arguments.get<std::string>() : dump(arguments)});
  return true;
}

Calls some(std::vector<ToolCall> calls) {
  return calls.empty() ? Calls() : Calls(std::move(calls));
}

/// One JSON value, or a list of them, behind the opening; `separator` between further ones.
Calls parse_values(std::string_view text, std::string_view separator) {
  std::vector<ToolCall> calls;
  for (;;) {
    const ordered_json value = take_json(text);
    if (value.is_array()) {
      for (const ordered_json& item : value) {
        if (!add_call(item, calls)) return std::nullopt;
      }
    } else if (!add_call(value, calls)) {
      return std::nullopt;
    }
    text = trimmed(text);
    if (separator.empty() || !text.starts_with(separator)) return some(std::move(calls));
    text.remove_prefix(separator.size());
  }
}

/// <tool_call>{…}</tool_call>, repeated. Hermes, Qwen 2.5 and 3.
Calls parse_tagged(std::string_view text) {
  constexpr std::string_view kOpen = "<tool_call>";
  std::vector<ToolCall> calls;
  for (std::size_t at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen)) {
    text.remove_prefix(at + kOpen.size());
    if (!add_call(take_json(text), calls)) return std::nullopt;
  }
  return some(std::move(calls));
}

/// A parameter's value, up to its closing mark: JSON where it is some, whose strings may hold the mark; else
/// text.
ordered_json take_value(std::string_view& text) {
  constexpr std::string_view kClose = "</parameter>";
  constexpr int kMostTries = 1000;
  const std::size_t first = std::min(text.find(kClose), text.size());
  const bool quoted = std::string_view("\"{[").find(trimmed(text).substr(0, 1)) != std::string_view::npos;
  std::size_t end = first;
  ordered_json value = parse_bounded(trimmed(text.substr(0, end)));
  for (int i = 1; quoted && value.is_discarded() && end < text.size() && i < kMostTries; ++i) {
    end = std::min(text.find(kClose, end + 1), text.size());
    value = parse_bounded(trimmed(text.substr(0, end)));
  }
  if (value.is_discarded()) {
    end = first;
    value = trimmed(text.substr(0, end));
  }
  text.remove_prefix(end);
  return value;
}

/// <tool_call><function=name><parameter=key>value</parameter>…</function></tool_call>. Qwen 3 Coder.
Calls parse_xml(std::string_view text) {
  constexpr std::string_view kFunction = "<function=";
  constexpr std::string_view kParameter = "<parameter=";
  constexpr std::string_view kEnd = "</function>";
  std::vector<ToolCall> calls;
  for (std::size_t at = text.find(kFunction); at != std::string_view::npos; at = text.find(kFunction)) {
    text.remove_prefix(at + kFunction.size());
    const std::size_t name_end = text.find('>');
    if (name_end == std::string_view::npos) return std::nullopt;
    const std::string name(text.substr(0, name_end));
    text.remove_prefix(name_end + 1);
    ordered_json arguments = ordered_json::object();
    for (std::size_t next = text.find(kParameter); next < text.find(kEnd); next = text.find(kParameter)) {
      text.remove_prefix(next + kParameter.size());
      const std::size_t key_end = text.find('>');
      if (key_end == std::string_view::npos) return std::nullopt;
      const std::string key(text.substr(0, key_end));
      text.remove_prefix(key_end + 1);
      arguments[key] = take_value(text);
    }
    text.remove_prefix(std::min(text.find(kEnd), text.size()));
    calls.push_back({name, dump(arguments)});
  }
  return some(std::move(calls));
}

/// {"name": …, "parameters": {…}}; more behind semicolons. Llama 3.
Calls parse_plain(std::string_view text) {
  return parse_values(text, ";");
}

/// [TOOL_CALLS] [{…}, …], since version 11 [TOOL_CALLS]name[ARGS]{…}. Mistral.
Calls parse_mistral(std::string_view text) {
  constexpr std::string_view kOpen = "[TOOL_CALLS]";
  constexpr std::string_view kArguments = "[ARGS]";
  std::vector<ToolCall> calls;
  while (text.starts_with(kOpen)) {
    text = trimmed(text.substr(kOpen.size()));
    if (text.starts_with('[')) return parse_values(text, "");
    const std::size_t brace = text.find('{');
    if (brace == std::string_view::npos) return std::nullopt;
    std::string_view name = text.substr(0, std::min(brace, text.find(kArguments)));
    name = trimmed(name.substr(0, name.find("[CALL_ID]")));
    text.remove_prefix(brace);
    const ordered_json arguments = take_json(text);
    if (name.empty() || !arguments.is_object()) return std::nullopt;
    calls.push_back({std::string(name), dump(arguments)});
    text = trimmed(text);
  }
  return some(std::move(calls));
}

/// <|tool_call|>[{…}, …]. Granite 3.
Calls parse_granite(std::string_view text) {
  return parse_values(text.substr(std::string_view("<|tool_call|>").size()), "");
}

/// …begin｜>type<｜tool▁sep｜>name, a fenced JSON block; without fence since version 3.1. DeepSeek.
Calls parse_deepseek(std::string_view text) {
  constexpr std::string_view kBegin = "<｜tool▁call▁begin｜>";
  constexpr std::string_view kSeparator = "<｜tool▁sep｜>";
  std::vector<ToolCall> calls;
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos; at = text.find(kBegin)) {
    text.remove_prefix(at + kBegin.size());
    const std::size_t separator = text.find(kSeparator);
    if (separator == std::string_view::npos) return std::nullopt;
    const std::string_view before = trimmed(text.substr(0, separator));
    text.remove_prefix(separator + kSeparator.size());
    const std::size_t brace = text.find('{');
    if (brace == std::string_view::npos) return std::nullopt;
    const std::string_view name = before == "function" ? trimmed(text.substr(0, text.find('\n'))) : before;
    text.remove_prefix(brace);
    const ordered_json arguments = take_json(text);
    if (!arguments.is_object()) return std::nullopt;
    calls.push_back({std::string(name), dump(arguments)});
  }
  return some(std::move(calls));
}

// The more particular marks first.
constexpr std::array kFormats = {
    ToolFormat{"deepseek", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁begin｜>", false, parse_deepseek,
               add_deepseek_calls, "", "arguments"},
    ToolFormat{"qwen3-coder", "<function=", "<tool_call>", false, parse_xml, add_xml_calls, "", "arguments"},
    ToolFormat{"mistral", "[TOOL_CALLS]", "[TOOL_CALLS]", false, parse_mistral, add_mistral_calls,
               "[TOOL_CALLS] ", "arguments", true},
    ToolFormat{"granite", "<|tool_call|>", "<|tool_call|>", false, parse_granite, add_list_of_calls,
               "<|tool_call|>", "arguments", true},
    ToolFormat{"hermes", "<tool_call>", "<tool_call>", false, parse_tagged, add_tagged_calls, "<tool_call>\n",
               "arguments"},
    ToolFormat{"json", "", "{", true, parse_plain, add_plain_calls, "", "parameters"},
};

/// The longest end of `text` that begins `mark`, less than all of it.
std::size_t begun(std::string_view text, std::string_view mark) {
  for (std::size_t length = std::min(text.size(), mark.size() - 1); length > 0; --length) {
    if (text.ends_with(mark.substr(0, length))) return length;
  }
  return 0;
}

}  // namespace

const ToolFormat& tool_format_of(std::string_view chat_template) {
  const auto* row = std::ranges::find_if(kFormats, [chat_template](const ToolFormat& format) {
    return chat_template.find(format.in_template) != std::string_view::npos;
  });
  return *row;
}

std::optional<std::string_view> begun_call(const ToolFormat& format, std::string_view written) {
  const std::size_t at = format.leading ? std::string_view::npos : written.find(format.opening);
  if (at != std::string_view::npos) return written.substr(at + format.opening.size());
  if (trimmed(written).starts_with(format.forced_list ? '[' : '{')) return written;
  return std::nullopt;
}

void ToolCallSplitter::go_on_from(std::string_view written) {
  push(written);
  written_ = held_.size();
}

std::string ToolCallSplitter::take(std::size_t count) {
  const std::size_t known = std::min(written_, count);
  std::string content = held_.substr(known, count - known);
  held_.erase(0, count);
  written_ -= known;
  return content;
}

std::string ToolCallSplitter::push(std::string_view text) {
  held_ += text;
  if (forced_) return {};
  std::size_t shown = held_.size();
  if (!format_->leading) {
    const std::size_t at = held_.find(format_->opening);
    shown = at != std::string::npos ? at : held_.size() - begun(held_, format_->opening);
  } else if (!started_) {
    const std::string_view start = trimmed(held_);
    if (start.empty() || start.starts_with(format_->opening)) shown = 0;
  }
  started_ = started_ || shown > 0;
  return take(shown);
}

ToolCallSplitter::End ToolCallSplitter::called(std::vector<ToolCall> calls) const {
  if (!parallel_ && calls.size() > 1) calls.resize(1);
  return {{}, std::move(calls)};
}

ToolCallSplitter::End ToolCallSplitter::finish() {
  const std::string_view text = trimmed(held_);
  if (forced_) {
    if (auto calls = parse_values(text, "")) return called(std::move(*calls));
  } else if (text.starts_with(format_->opening) && !(format_->leading && started_)) {
    if (auto calls = format_->parse(text)) return called(std::move(*calls));
  }
  return {take(held_.size()), {}};
}

}  // namespace stepdown::server
