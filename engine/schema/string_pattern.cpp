#include "engine/schema/string_pattern.h"

#include <algorithm>
#include <map>

#include "engine/base/error.h"

namespace stepdown::schema {
namespace {

using Set = std::vector<std::int32_t>;

/// The NFA with edges gathered by state.
struct Graph {
  explicit Graph(const RegexNfa& nfa)
      : edges(static_cast<std::size_t>(nfa.states)), empty(static_cast<std::size_t>(nfa.states)) {
    for (const RegexNfa::Edge& edge : nfa.edges) edges[static_cast<std::size_t>(edge.from)].push_back(edge);
    for (const auto& [from, to] : nfa.empty) empty[static_cast<std::size_t>(from)].push_back(to);
  }

  Set closure(Set states) const {
    std::vector<bool> seen(edges.size());
    std::erase_if(states, [&seen](std::int32_t state) {
      const bool twice = seen[static_cast<std::size_t>(state)];
      seen[static_cast<std::size_t>(state)] = true;
      return twice;
    });
    for (std::size_t i = 0; i < states.size(); ++i) {
      for (const std::int32_t to : empty[static_cast<std::size_t>(states[i])]) {
        if (seen[static_cast<std::size_t>(to)]) continue;
        seen[static_cast<std::size_t>(to)] = true;
        states.push_back(to);
      }
    }
    std::ranges::sort(states);
    return states;
  }

  std::vector<std::vector<RegexNfa::Edge>> edges;
  std::vector<std::vector<std::int32_t>> empty;
};

}  // namespace

StringPattern::StringPattern(std::string_view regex, bool json_safe)
    : StringPattern(parse_regex(regex), json_safe) {}

StringPattern::StringPattern(const RegexNfa& nfa, bool json_safe) {
  constexpr std::size_t kMostStates = 2000;
  constexpr std::size_t kMostMembers = 2'000'000;  // of all sets: memory, and time
  const Graph graph(nfa);
  std::map<Set, State> known;
  std::vector<Set> sets;
  std::size_t members = 0;
  const auto number = [&](Set set) -> State {
    if (set.empty()) return kDead;
    const auto [entry, fresh] = known.try_emplace(std::move(set), static_cast<State>(sets.size()));
    if (fresh) {
      sets.push_back(entry->first);
      members += entry->first.size();
    }
    if (sets.size() > kMostStates || members > kMostMembers)
      throw InputError("pattern is not supported: its automaton is too large", "", "simplify it");
    return entry->second;
  };
  number(graph.closure({nfa.start}));
  for (std::size_t i = 0; i < sets.size(); ++i) {
    std::array<State, 256> row{};
    row.fill(kDead);
    // Bytes between two edge borders behave alike.
    std::array<bool, 257> border{};
    border[0] = border[256] = true;
    for (const std::int32_t state : sets[i]) {
      for (const RegexNfa::Edge& edge : graph.edges[static_cast<std::size_t>(state)])
        border[edge.low] = border[edge.high + 1U] = true;
    }
    for (std::size_t low = 0; low < 256;) {
      std::size_t end = low + 1;
      while (!border[end]) ++end;
      Set targets;
      for (const std::int32_t state : sets[i]) {
        for (const RegexNfa::Edge& edge : graph.edges[static_cast<std::size_t>(state)]) {
          if (edge.low <= low && low <= edge.high) targets.push_back(edge.to);
        }
      }
      const State target = number(targets.empty() ? Set() : graph.closure(std::move(targets)));
      for (; low < end; ++low)
        row[low] = json_safe && (low < 0x20 || low == '"' || low == '\\') ? kDead : target;
    }
    table_.push_back(row);
    accepting_.push_back(std::ranges::binary_search(sets[i], nfa.accept));
  }
  // Only states that can still accept stay: walk backwards from the accepting ones.
  std::vector<bool> live = accepting_;
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < table_.size(); ++i) {
      if (live[i]) continue;
      live[i] = std::ranges::any_of(
          table_[i], [&live](State to) { return to != kDead && live[static_cast<std::size_t>(to)]; });
      changed = changed || live[i];
    }
  }
  if (!live[0])
    throw InputError("no string matches the pattern" +
                     std::string(json_safe ? " without characters that JSON escapes" : ""));
  for (auto& row : table_) {
    for (State& to : row) {
      if (to != kDead && !live[static_cast<std::size_t>(to)]) to = kDead;
    }
  }
}

bool StringPattern::matches(std::string_view text) const {
  State state = start();
  for (const char c : text) {
    state = next(state, static_cast<unsigned char>(c));
    if (state == kDead) return false;
  }
  return accepts(state);
}

}  // namespace stepdown::schema
