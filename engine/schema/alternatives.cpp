#include "engine/schema/alternatives.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/schema/match_state.h"

namespace stepdown::schema {
namespace {

class Flattening {
 public:
  explicit Flattening(Grammar& grammar) : grammar_(grammar), done_(grammar.nodes.size()) {}

  void run() {
    const std::size_t count = grammar_.nodes.size();  // merging adds some
    for (std::size_t id = 0; id < count; ++id) flatten(static_cast<NodeId>(id));
    for (std::size_t id = 0; id < count; ++id) merge_literals(static_cast<NodeId>(id));
  }

 private:
  void flatten(NodeId id) {
    if (grammar_[id].kind != NodeKind::kAnyOf || std::exchange(done_[static_cast<std::size_t>(id)], 1) != 0)
      return;
    std::vector<char> seen(grammar_.nodes.size());
    std::vector<NodeId> plain;
    const auto add = [&](NodeId alternative) {
      if (std::exchange(seen[static_cast<std::size_t>(alternative)], 1) != 0) return;
      plain.push_back(alternative);
    };
    for (const NodeId alternative : grammar_[id].alternatives) {
      flatten(alternative);
      if (grammar_[alternative].kind == NodeKind::kAnyOf) {
        std::ranges::for_each(grammar_[alternative].alternatives, add);
      } else {
        add(alternative);
      }
    }
    constexpr std::size_t kMost = 200'000;
    if ((total_ += plain.size()) > kMost) throw InputError("the schema is too large", "#");
    grammar_.nodes[static_cast<std::size_t>(id)].alternatives = std::move(plain);
  }

  /// Scalars alone: how an object is written, its values do not tell.
  bool is_literal(NodeId id) const {
    return grammar_[id].kind == NodeKind::kLiterals &&
           std::ranges::none_of(grammar_[id].values, [](const auto& value) { return value.is_structured(); });
  }

  void merge_literals(NodeId id) {
    if (grammar_[id].kind != NodeKind::kAnyOf) return;
    std::vector<NodeId> all = grammar_[id].alternatives;
    const auto literals =
        std::ranges::stable_partition(all, [this](NodeId alternative) { return !is_literal(alternative); });
    if (literals.size() > 1) {
      Node merged;
      merged.kind = NodeKind::kLiterals;
      for (const NodeId each : literals) {
        for (const nlohmann::json& value : grammar_[each].values) {
          merged.literals.add(value.dump());
          merged.values.push_back(value);
        }
      }
      all.erase(literals.begin(), literals.end());
      all.push_back(static_cast<NodeId>(grammar_.nodes.size()));
      grammar_.nodes.push_back(std::move(merged));
    }
    if (all.size() > Threads::kMostThreads) {
      throw InputError("there are " + std::to_string(all.size()) + " alternatives in one place, at most " +
                           std::to_string(Threads::kMostThreads) + " are followed",
                       "#", "write values as one 'enum', or fewer alternatives");
    }
    grammar_.nodes[static_cast<std::size_t>(id)].alternatives = std::move(all);
  }

  Grammar& grammar_;
  std::vector<char> done_;
  std::size_t total_ = 0;
};

}  // namespace

void flatten_alternatives(Grammar& grammar) {
  Flattening(grammar).run();
}

}  // namespace stepdown::schema
