#include "engine/schema/grammar_builder.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/schema/code_point_ranges.h"
#include "engine/schema/json_reading.h"

namespace stepdown::schema {
namespace {

using State = TextGrammar::State;

// States that are reached from a rule's start over what `follows` allows.
template <typename Follows>
std::vector<State> reach(const TextGrammar& grammar, State start, const Follows& follows) {
  std::vector<bool> seen(grammar.size());
  std::vector<State> states = {start};
  seen[static_cast<std::size_t>(start)] = true;
  for (std::size_t i = 0; i < states.size(); ++i) {
    follows(grammar[states[i]], [&](State to) {
      if (seen[static_cast<std::size_t>(to)]) return;
      seen[static_cast<std::size_t>(to)] = true;
      states.push_back(to);
    });
  }
  return states;
}

// Whether a rule ends at this state, whatever follows.
bool only_ends(const TextGrammar& grammar, State state) {
  for (std::size_t step = 0; step < grammar.size(); ++step) {
    const TextGrammar::Node& node = grammar[state];
    if (!node.edges.empty() || !node.calls.empty() || !node.documents.empty() || node.empty.size() > 1)
      return false;
    if (node.empty.empty() || node.ends) return node.ends && node.empty.empty();
    state = node.empty.front();
  }
  return false;  // empty edges in a circle
}

bool is_plain(const TextGrammar& grammar, const TextGrammar::Node& node) {
  if (node.edges.empty() || !node.calls.empty() || !node.documents.empty()) return false;
  std::vector<TextGrammar::Edge> edges = node.edges;
  std::ranges::sort(edges, {}, &TextGrammar::Edge::low);
  const auto overlap = [](const TextGrammar::Edge& a, const TextGrammar::Edge& b) { return b.low <= a.high; };
  return std::ranges::adjacent_find(edges, overlap) == edges.end() &&
         std::ranges::all_of(node.empty, [&grammar](State to) { return only_ends(grammar, to); });
}

}  // namespace

std::u32string code_points_of(std::string_view text, const std::string& where) {
  std::u32string code_points;
  while (!text.empty()) {
    const CodePoint next = decode_utf8(text);
    if (next.length == 0) throw InputError("text that is no UTF-8", where);
    code_points += next.value;
    text.remove_prefix(next.length);
  }
  return code_points;
}

State GrammarBuilder::state() {
  constexpr State kMost = 50'000;
  if (nfa.states >= kMost) throw InputError("the grammar is too large", "", "use fewer or smaller repeats");
  return nfa.states++;
}

void GrammarBuilder::add_bytes(State from, const std::function<State(unsigned char)>& to) {
  for (unsigned low = 0, end = 0; low < 256; low = end) {
    const State next = to(static_cast<unsigned char>(low));
    for (end = low + 1; end < 256 && to(static_cast<unsigned char>(end)) == next;) ++end;
    if (next == TextGrammar::kNowhere) continue;
    nfa.edges.push_back({from, next, static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(end - 1)});
  }
}

void GrammarBuilder::add_text(Trie& trie, State start, State end, std::u32string_view text) {
  for (const char32_t c : text) {
    const auto known = trie.find({start, c});
    const State next = known == trie.end() ? state() : known->second;
    if (known == trie.end()) {
      add_code_points(nfa, start, next, {{c, c}});
      trie.emplace(std::pair(start, c), next);
    }
    start = next;
  }
  nfa.empty.emplace_back(start, end);
}

std::shared_ptr<const TextGrammar> GrammarBuilder::build(std::size_t root, std::string text) const {
  std::shared_ptr<TextGrammar> grammar(new TextGrammar);  // NOLINT: private constructor
  grammar->nodes_.resize(static_cast<std::size_t>(nfa.states));
  const auto node = [&](State s) -> TextGrammar::Node& {
    return grammar->nodes_[static_cast<std::size_t>(s)];
  };
  for (const RegexNfa::Edge& edge : nfa.edges)
    node(edge.from).edges.push_back({edge.low, edge.high, edge.to});
  for (const auto& [from, to] : nfa.empty) node(from).empty.push_back(to);
  for (const Call& call : calls) node(call.from).calls.push_back({rules[call.rule].start, call.back});
  for (const Document& document : documents) {
    auto begun = std::make_shared<JsonReading>(document.schema);
    for (const char byte : document.begun) {
      if (!begun->accept(static_cast<unsigned char>(byte)))
        throw InputError("no document begins with '" + document.begun + "'", "grammar");
    }
    node(document.from).documents.push_back({std::move(begun), document.back});
  }
  for (const Rule& rule : rules) node(rule.end).ends = true;
  for (TextGrammar::Node& each : grammar->nodes_) {
    each.plain = is_plain(*grammar, each);
    for (TextGrammar::Call& call : each.calls) call.tail = only_ends(*grammar, call.back);
  }
  grammar->start_ = rules[root].start;
  grammar->text_ = std::move(text);
  grammar->reads_control_tokens_ = reads_control_tokens;
  check_ends(*grammar);
  check_beginnings(*grammar);
  check_width(*grammar);
  return grammar;
}

std::map<GrammarBuilder::State, bool> GrammarBuilder::passable(const TextGrammar& grammar,
                                                               bool reading) const {
  std::map<State, bool> known;  // by a rule's start
  for (bool changed = true; changed;) {
    changed = false;
    for (const Rule& rule : rules) {
      if (known[rule.start]) continue;
      const auto states = reach(grammar, rule.start, [&](const TextGrammar::Node& node, const auto& go) {
        for (const State to : node.empty) go(to);
        for (const TextGrammar::Call& call : node.calls) {
          if (known[call.rule]) go(call.back);
        }
        if (!reading) return;
        for (const TextGrammar::Edge& edge : node.edges) go(edge.to);
        for (const TextGrammar::Document& document : node.documents) go(document.back);
      });
      if (std::ranges::find(states, rule.end) != states.end()) known[rule.start] = changed = true;
    }
  }
  return known;
}

void GrammarBuilder::check_ends(const TextGrammar& grammar) const {
  const auto ends = passable(grammar, true);
  for (const Rule& rule : rules) {
    if (!ends.at(rule.start))
      throw InputError("rule '" + rule.name + "' never ends", "grammar", "give it a way out");
  }
}

void GrammarBuilder::check_beginnings(const TextGrammar& grammar) const {
  auto empty = passable(grammar, false);
  std::map<State, std::vector<State>> first;  // rules that a rule begins with
  for (const Rule& rule : rules) {
    reach(grammar, rule.start, [&](const TextGrammar::Node& node, const auto& go) {
      for (const State to : node.empty) go(to);
      for (const TextGrammar::Call& call : node.calls) {
        first[rule.start].push_back(call.rule);
        if (empty[call.rule]) go(call.back);
      }
    });
  }
  for (const Rule& rule : rules) {
    std::vector<State> begun = first[rule.start];
    for (std::size_t i = 0; i < begun.size(); ++i) {
      if (begun[i] == rule.start)
        throw InputError("rule '" + rule.name + "' begins with itself", "grammar",
                         "let it repeat at its end instead");
      for (const State next : first[begun[i]]) {
        if (std::ranges::find(begun, next) == begun.end()) begun.push_back(next);
      }
    }
  }
}

void GrammarBuilder::check_width(const TextGrammar& grammar) const {
  const auto empty = passable(grammar, false);
  for (const Rule& rule : rules) {
    const auto states = reach(grammar, rule.start, [&](const TextGrammar::Node& node, const auto& go) {
      for (const State to : node.empty) go(to);
      for (const TextGrammar::Call& call : node.calls) {
        go(call.rule);
        if (empty.at(call.rule)) go(call.back);
      }
    });
    if (states.size() <= TextReading::kMostOpen) continue;
    throw InputError("rule '" + rule.name + "' has more beginnings than are followed, " +
                         std::to_string(TextReading::kMostOpen),
                     "grammar", "write values that differ in their text alone as one list of literals");
  }
}

}  // namespace stepdown::schema
