#include "engine/quant/calibration/redact_prompt.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace stepdown::quant {
namespace {

using nlohmann::ordered_json;
using Counts = std::map<std::string, int>;

void redact_value(const Redactor& redactor, ordered_json& value, Counts& counts);

/// Records may be listed by whom they are of. Keys that become alike are told apart by numbers.
ordered_json redact_object(const Redactor& redactor, ordered_json& object, Counts& counts) {
  ordered_json result = ordered_json::object();
  std::map<std::string, int> alike;
  for (const auto& [key, member] : object.items()) {
    redact_value(redactor, member, counts);
    const std::string shown = redactor.redact(key, counts);
    std::string own = shown;
    while (result.contains(own)) own = shown + " " + std::to_string(++alike[shown] + 1);
    result[own] = std::move(member);
  }
  return result;
}

/// Every text in it.
void redact_value(const Redactor& redactor, ordered_json& value, Counts& counts) {
  if (value.is_string()) {
    value = redactor.redact(value.get_ref<const std::string&>(), counts);
  } else if (value.is_number()) {  // of a card, of a telephone
    const std::string digits = value.dump();
    if (std::string shown = redactor.redact(digits, counts); shown != digits) value = std::move(shown);
  } else if (value.is_object()) {
    value = redact_object(redactor, value, counts);
  } else if (value.is_array()) {
    for (ordered_json& each : value) redact_value(redactor, each, counts);
  }
}

/// Members whose names are the protocol's: but for `kept`, all of their values.
void redact_members(const Redactor& redactor, ordered_json& object,
                    std::initializer_list<std::string_view> kept, Counts& counts) {
  for (const auto& [key, member] : object.items()) {
    if (std::ranges::find(kept, key) == kept.end()) redact_value(redactor, member, counts);
  }
}

void redact_message(const Redactor& redactor, ordered_json& message, Counts& counts) {
  redact_members(redactor, message, {"role", "tool_calls", "tool_call_id"}, counts);
  const auto calls = message.find("tool_calls");
  if (calls == message.end() || !calls->is_array()) return;
  for (ordered_json& call : *calls) {  // what is looked up is as personal as what is said
    redact_members(redactor, call, {"id", "type", "function"}, counts);
    redact_members(redactor, call["function"], {}, counts);
  }
}

}  // namespace

void redact(const Redactor& redactor, CorpusPrompt& prompt, Counts& counts) {
  prompt.text = redactor.redact(prompt.text, counts);
  for (ordered_json& message : prompt.messages) redact_message(redactor, message, counts);
  for (ordered_json& tool : prompt.tools) {  // offered for one customer, whose data they name
    redact_members(redactor, tool, {"type", "function"}, counts);
    redact_members(redactor, tool["function"], {}, counts);
  }
}

}  // namespace stepdown::quant
