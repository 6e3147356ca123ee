// What each format of calls writes behind its opening.
#include <algorithm>
#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/schema/json_pointer.h"
#include "engine/server/call_grammar.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;
using State = CallGrammar::State;

/// Parameters are written one by one: what the schema says of them all together is not held.
void check_listed(const Tool& tool, const ordered_json& schema) {
  constexpr std::array kKnown = {"type",     "properties",  "required", "additionalProperties",
                                 "$defs",    "definitions", "title",    "description",
                                 "$comment", "$id"};
  for (const auto& [key, value] : schema.items()) {
    const bool known =
        std::ranges::find(kKnown, key) != kKnown.end() && (key != "additionalProperties" || value == false);
    if (known) continue;
    throw InputError("the strict tool '" + tool.name + "': '" + key +
                         "' of its parameters cannot be held in the form in which this model calls",
                     "#/" + key, "list its parameters in 'properties'");
  }
}

/// A strict tool's parameters in the schema's order, each a JSON value, so that strings cannot be taken for
/// numbers.
State strict_parameters(CallGrammar& grammar, State from, const Tool& tool) {
  const std::string place = "#/$defs/tool";
  const ordered_json schema = arguments_schema(tool, place);
  check_listed(tool, schema);
  const ordered_json required = schema.value("required", ordered_json::array());
  const ordered_json properties = schema.value("properties", ordered_json::object());
  for (const auto& [key, value] : properties.items()) {
    if (key.find_first_of("<>\n") != std::string::npos)
      throw InputError("the strict tool '" + tool.name + "': the parameter '" + key +
                       "' has a name that this model's form of calls cannot hold");
    const State named = grammar.text(grammar.gap(from), "<parameter=" + key + ">");
    const State written = grammar.document(
        named, {{"$ref", place + "/properties/" + schema::escape_percent(schema::escape_pointer(key))},
                {"$defs", {{"tool", schema}}}});
    const State closed = grammar.text(grammar.gap(written), "</parameter>");
    if (std::find(required.begin(), required.end(), key) == required.end()) grammar.link(from, closed);
    from = closed;
  }
  return from;
}

State any_parameters(CallGrammar& grammar, State from) {
  const State named = grammar.until(grammar.text(grammar.gap(from), "<parameter="), ">");
  grammar.link(grammar.until(named, "</parameter>"), from);
  return from;
}

}  // namespace

void add_tagged_calls(CallGrammar& grammar) {
  const State written = grammar.gap(grammar.calls(grammar.opened(), CallShape::kCall));
  const State closed = grammar.gap(grammar.text(written, "</tool_call>"));
  grammar.link(closed, grammar.end());
  if (grammar.parallel()) grammar.link(grammar.text(closed, "<tool_call>"), grammar.opened());
}

void add_xml_calls(CallGrammar& grammar) {
  const State named = grammar.text(grammar.gap(grammar.opened()), "<function=");
  const State written = grammar.state();
  const std::vector<State> names = grammar.names(named);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Tool& tool = grammar.tools()[i];
    const State begun = grammar.text(names[i], ">");
    const State listed =
        tool.strict ? strict_parameters(grammar, begun, tool) : any_parameters(grammar, begun);
    grammar.link(grammar.text(grammar.gap(listed), "</function>"), written);
  }
  const State closed = grammar.gap(grammar.text(grammar.gap(written), "</tool_call>"));
  grammar.link(closed, grammar.end());
  if (grammar.parallel()) grammar.link(grammar.text(closed, "<tool_call>"), grammar.opened());
}

void add_list_of_calls(CallGrammar& grammar) {
  grammar.link(grammar.calls(grammar.opened(), CallShape::kList), grammar.end());
}

// A list, or since version 11 one call behind each opening.
void add_mistral_calls(CallGrammar& grammar) {
  add_list_of_calls(grammar);
  const State single = grammar.state();
  grammar.link(grammar.opened(), single);
  const std::vector<State> names = grammar.names(single);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const State written = grammar.arguments(grammar.text(names[i], "[ARGS]"), grammar.tools()[i]);
    grammar.link(written, grammar.end());
    if (grammar.parallel()) grammar.link(grammar.text(written, "[TOOL_CALLS]"), single);
  }
}

// With a fence, and since version 3.1 without.
void add_deepseek_calls(CallGrammar& grammar) {
  constexpr std::string_view kSeparator = "<｜tool▁sep｜>";
  const State begun = grammar.text(grammar.gap(grammar.opened()), "<｜tool▁call▁begin｜>");
  const State fenced = grammar.text(begun, "function" + std::string(kSeparator));
  const std::vector<State> plain_names = grammar.names(begun);
  const std::vector<State> fenced_names = grammar.names(fenced);
  const State written = grammar.state();
  for (std::size_t i = 0; i < grammar.tools().size(); ++i) {
    const Tool& tool = grammar.tools()[i];
    const State in_fence = grammar.arguments(grammar.text(fenced_names[i], "\n```json\n"), tool);
    grammar.link(grammar.text(in_fence, "\n```"), written);
    if (tool.name == "function") continue;  // it would be read as the fence's mark
    grammar.link(grammar.arguments(grammar.text(plain_names[i], kSeparator), tool), written);
  }
  const State closed = grammar.text(written, "<｜tool▁call▁end｜>");
  if (grammar.parallel()) grammar.link(closed, grammar.opened());
  grammar.link(grammar.text(grammar.gap(closed), "<｜tool▁calls▁end｜>"), grammar.end());
}

void add_plain_calls(CallGrammar& grammar) {
  const State first = grammar.calls(grammar.opened(), CallShape::kCall, kLeadingCall);
  grammar.link(first, grammar.end());
  if (grammar.parallel())
    grammar.link(grammar.calls(grammar.text(grammar.gap(first), ";"), CallShape::kCall), first);
}

}  // namespace stepdown::server
