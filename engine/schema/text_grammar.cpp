#include "engine/schema/text_grammar.h"

#include <optional>
#include <utility>

#include "engine/base/error.h"
#include "engine/schema/grammar_builder.h"
#include "engine/schema/string_pattern.h"

namespace stepdown::schema {

namespace {

/// One place to stand at instead of many; nothing where that would be too large.
std::optional<StringPattern> deterministic(const RegexNfa& nfa) {
  try {
    return StringPattern(nfa, false);
  } catch (const InputError&) {  // the grammar's own checks say what is wrong with those that match nothing
    return std::nullopt;
  }
}

void add_automaton(GrammarBuilder& builder, const StringPattern& automaton) {
  while (builder.nfa.states < static_cast<std::int32_t>(automaton.size())) builder.state();
  builder.rules.push_back({"regex", automaton.start(), builder.state()});
  for (StringPattern::State at = 0; at < static_cast<std::int32_t>(automaton.size()); ++at) {
    if (automaton.accepts(at)) builder.nfa.empty.emplace_back(at, builder.rules[0].end);
    builder.add_bytes(at, [&](unsigned char byte) { return automaton.next(at, byte); });
  }
}

}  // namespace

std::shared_ptr<const TextGrammar> TextGrammar::from_regex(std::string_view regex) {
  GrammarBuilder builder;
  RegexNfa nfa = parse_whole_regex(regex);
  if (const auto automaton = deterministic(nfa)) {
    add_automaton(builder, *automaton);
  } else {
    builder.nfa = std::move(nfa);
    builder.rules.push_back({"regex", builder.nfa.start, builder.nfa.accept});
  }
  return builder.build(0, "regex:" + std::string(regex));
}

std::shared_ptr<const TextGrammar> TextGrammar::from_choices(std::span<const std::string> choices) {
  GrammarBuilder builder;
  builder.rules.push_back({"choice", builder.state(), builder.state()});
  std::string text = "choice";
  GrammarBuilder::Trie trie;
  for (const std::string& choice : choices) {
    builder.add_text(trie, builder.rules[0].start, builder.rules[0].end, code_points_of(choice, "choice"));
    text += ':' + std::to_string(choice.size()) + ':' + choice;
  }
  return builder.build(0, std::move(text));
}

}  // namespace stepdown::schema
