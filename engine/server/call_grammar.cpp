#include "engine/server/call_grammar.h"

#include <array>

#include <nlohmann/json.hpp>

#include "engine/schema/free_text.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;
using schema::TextGrammar;
using State = CallGrammar::State;

std::string key_of(const ToolFormat& format, const ToolUse& use) {
  ordered_json key = {std::string(format.name), use.parallel};
  for (const Tool& tool : use.tools) key.push_back({tool.name, tool.parameters, tool.strict});
  return "calls:" + key.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

CallGrammar::CallGrammar(const ToolFormat& format, const ToolUse& use)
    : format_(format),
      use_(held(use, Loosely::kAnyObject)),
      opened_(builder_.state()),
      end_(builder_.state()) {
  builder_.reads_control_tokens = true;
}

State CallGrammar::text(State from, std::string_view text) {
  const State to = state();
  schema::GrammarBuilder::Trie alone;
  builder_.add_text(alone, from, to, schema::code_points_of(text, "tools"));
  return to;
}

State CallGrammar::gap(State from) {
  const State to = state();
  for (const unsigned char space : {' ', '\n'}) builder_.nfa.edges.push_back({from, to, space, space});
  link(from, to);
  return to;
}

State CallGrammar::until(State from, std::string_view close) {
  const State to = state();
  const std::array marks = {schema::TextMark{close, to}};
  schema::add_free_text(builder_, from, TextGrammar::kNowhere, marks);
  return to;
}

State CallGrammar::document(State from, const ordered_json& schema, std::string_view begun) {
  auto& compiled = schemas_[schema.dump()];
  if (!compiled) compiled = schema::Schema::compile(schema);
  const State to = state();
  builder_.documents.push_back({from, compiled, std::string(begun), to});
  return to;
}

State CallGrammar::calls(State from, CallShape shape, std::string_view begun) {
  return document(from, call_schema(format_, use_, shape), begun);
}

State CallGrammar::arguments(State from, const Tool& tool) {
  return document(from, arguments_schema(tool, "#"));
}

std::vector<State> CallGrammar::names(State from) {
  schema::GrammarBuilder::Trie trie;
  std::vector<State> ends;
  for (const Tool& tool : tools()) {
    ends.push_back(state());
    builder_.add_text(trie, from, ends.back(), schema::code_points_of(tool.name, "tools"));
  }
  return ends;
}

/// White space, and then kLeadingCall or something else.
void CallGrammar::leading_call(State start) {
  const State other = state();
  builder_.add_bytes(other, [other](unsigned char) { return other; });
  link(other, end_);
  State from = start;
  for (std::size_t i = 0; i < kLeadingCall.size(); ++i) {
    const State next = i + 1 < kLeadingCall.size() ? state() : opened_;
    const bool spaced = i < 2;  // before and behind the bracket
    builder_.add_bytes(from, [&](unsigned char byte) {
      const char c = static_cast<char>(byte);
      if (c == kLeadingCall[i]) return next;
      return spaced && std::string_view(" \t\n\r").find(c) != std::string_view::npos ? from : other;
    });
    link(from, end_);
    from = next;
  }
}

std::shared_ptr<const TextGrammar> CallGrammar::build() {
  const State start = state();
  const std::string_view opening = format_.opening;
  if (format_.leading) {
    leading_call(start);
  } else {
    const std::array marks = {schema::TextMark{opening, opened_}};
    schema::add_free_text(builder_, start, end_, marks);
  }
  builder_.rules.push_back({"answer", start, end_});
  return builder_.build(0, key_of(format_, use_));
}

std::shared_ptr<const TextGrammar> free_call_grammar(const ToolFormat& format, const ToolUse& use) {
  CallGrammar grammar(format, use);
  format.add_calls(grammar);
  return grammar.build();
}

}  // namespace stepdown::server
