#pragma once

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
