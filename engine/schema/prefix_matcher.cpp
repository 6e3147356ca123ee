#include <variant>

#include "engine/schema/json_reading.h"
#include "engine/schema/schema.h"
#include "engine/schema/text_grammar.h"

namespace stepdown::schema {

struct PrefixMatcher::State {
  std::variant<JsonReading, TextReading> reading;
  /// The JSON text that is being read; null where something else may be.
  const JsonReading* document() const;
};

PrefixMatcher::PrefixMatcher(std::shared_ptr<const Schema> schema)
    : state_(std::make_unique<State>(State{JsonReading(std::move(schema))})) {}
PrefixMatcher::PrefixMatcher(std::shared_ptr<const TextGrammar> grammar)
    : state_(std::make_unique<State>(State{TextReading(std::move(grammar))})) {}
PrefixMatcher::PrefixMatcher(const PrefixMatcher& other) : state_(std::make_unique<State>(*other.state_)) {}
PrefixMatcher& PrefixMatcher::operator=(const PrefixMatcher& other) {
  if (this == &other) return *this;
  if (state_) {
    *state_ = *other.state_;
  } else {
    state_ = std::make_unique<State>(*other.state_);
  }
  return *this;
}
PrefixMatcher::PrefixMatcher(PrefixMatcher&&) noexcept = default;
PrefixMatcher& PrefixMatcher::operator=(PrefixMatcher&&) noexcept = default;
PrefixMatcher::~PrefixMatcher() = default;

bool PrefixMatcher::accept(unsigned char byte) {
  return std::visit([byte](auto& reading) { return reading.accept(byte); }, state_->reading);
}

bool PrefixMatcher::become(const PrefixMatcher& before, unsigned char byte) {
  auto* json = std::get_if<JsonReading>(&state_->reading);
  const auto* json_before = std::get_if<JsonReading>(&before.state_->reading);
  if (json != nullptr && json_before != nullptr) return json->become(*json_before, byte);
  *this = before;
  return accept(byte);
}

std::size_t PrefixMatcher::accept(std::string_view text) {
  std::size_t count = 0;
  while (count < text.size() && accept(static_cast<unsigned char>(text[count]))) ++count;
  return count;
}

bool PrefixMatcher::complete() const {
  return std::visit([](const auto& reading) { return reading.complete(); }, state_->reading);
}

bool PrefixMatcher::finished() const {
  return std::visit([](const auto& reading) { return reading.finished(); }, state_->reading);
}

std::size_t PrefixMatcher::work() const {
  return std::visit([](const auto& reading) { return reading.work(); }, state_->reading);
}

std::string PrefixMatcher::key(std::size_t horizon) const {
  return std::visit([horizon](const auto& reading) { return reading.key(horizon); }, state_->reading);
}

const JsonReading* PrefixMatcher::State::document() const {
  if (const auto* text = std::get_if<TextReading>(&reading)) return text->document();
  return &std::get<JsonReading>(reading);
}

std::optional<std::size_t> PrefixMatcher::free_text() const {
  const JsonReading* json = state_->document();
  return json == nullptr ? std::nullopt : json->free_text();
}

std::optional<PatternPlace> PrefixMatcher::pattern_place() const {
  const JsonReading* json = state_->document();
  return json == nullptr ? std::nullopt : json->pattern_place();
}

bool PrefixMatcher::in_document() const {
  return state_->document() != nullptr;
}

bool PrefixMatcher::reads_control_tokens() const {
  const auto* text = std::get_if<TextReading>(&state_->reading);
  return text != nullptr && text->grammar().reads_control_tokens() && text->document() == nullptr;
}

std::optional<PlainPlace> PrefixMatcher::plain_place() const {
  const auto* text = std::get_if<TextReading>(&state_->reading);
  return text == nullptr ? std::nullopt : text->plain_place();
}

}  // namespace stepdown::schema
