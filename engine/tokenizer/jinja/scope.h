#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/jinja/value.h"

namespace stepdown::tokenizer::jinja {

/// The names in reach: loops open inner scopes whose assignments end with the iteration, as in Jinja.
class Scope {
 public:
  void push() { starts_.push_back(names_.size()); }
  void pop() {
    names_.resize(starts_.back());
    starts_.pop_back();
  }
  void set(std::string_view name, Value value) {
    const std::size_t start = starts_.empty() ? 0 : starts_.back();
    for (std::size_t i = names_.size(); i > start; --i) {
      if (names_[i - 1].first == name) {
        names_[i - 1].second = std::move(value);
        return;
      }
    }
    names_.emplace_back(name, std::move(value));
  }
  std::size_t depth() const { return starts_.size(); }

  /// Scopes out of reach while a macro runs: it sees the names around its definition, not its caller's.
  struct Hidden {
    std::vector<std::pair<std::string, Value>> names;
    std::vector<std::size_t> starts;
  };
  /// Hides all scopes beyond the first `depth`.
  Hidden hide(std::size_t depth) {
    if (depth >= starts_.size()) return {};
    const auto name = names_.begin() + static_cast<std::ptrdiff_t>(starts_[depth]);
    const auto start = starts_.begin() + static_cast<std::ptrdiff_t>(depth);
    Hidden hidden{{std::make_move_iterator(name), std::make_move_iterator(names_.end())},
                  {start, starts_.end()}};
    names_.erase(name, names_.end());
    starts_.erase(start, starts_.end());
    return hidden;
  }
  /// Undoes hide(), whatever was opened since.
  void restore(Hidden hidden, std::size_t depth) {
    while (starts_.size() > depth) pop();
    const std::size_t base = names_.size();  // the macro may have been the first to see new outer names
    const std::size_t shift = hidden.starts.empty() ? 0 : base - hidden.starts.front();
    for (const std::size_t start : hidden.starts) starts_.push_back(start + shift);
    std::ranges::move(hidden.names, std::back_inserter(names_));
  }

  const Value* find(std::string_view name) const {
    for (std::size_t i = names_.size(); i > 0; --i) {
      if (names_[i - 1].first == name) return &names_[i - 1].second;
    }
    return nullptr;
  }

 private:
  std::vector<std::pair<std::string, Value>> names_;
  std::vector<std::size_t> starts_;
};

}  // namespace stepdown::tokenizer::jinja
