#include "engine/schema/text_grammar.h"

#include "engine/schema/grammar_builder.h"

namespace stepdown::schema {

using State = TextGrammar::State;

std::shared_ptr<const TextGrammar> TextGrammar::from_regex(std::string_view regex) {
  GrammarBuilder builder;
  builder.nfa = parse_whole_regex(regex);
  builder.rules.push_back({"regex", builder.nfa.start, builder.nfa.accept});
  return builder.build(0, "regex:" + std::string(regex));
}

std::shared_ptr<const TextGrammar> TextGrammar::from_choices(std::span<const std::string> choices) {
  GrammarBuilder builder;
  builder.rules.push_back({"choice", builder.state(), builder.state()});
  std::string text = "choice";
  for (const std::string& choice : choices) {
    State at = builder.rules[0].start;
    for (const char c : choice) {
      const State next = builder.state();
      const auto byte = static_cast<std::uint8_t>(c);
      builder.nfa.edges.push_back({at, next, byte, byte});
      at = next;
    }
    builder.nfa.empty.emplace_back(at, builder.rules[0].end);
    text += ':' + std::to_string(choice.size()) + ':' + choice;
  }
  return builder.build(0, std::move(text));
}

}  // namespace stepdown::schema
