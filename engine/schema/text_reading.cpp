#include <algorithm>
#include <cstring>

#include "engine/schema/text_grammar.h"

namespace stepdown::schema {

TextReading::TextReading(std::shared_ptr<const TextGrammar> grammar) : grammar_(std::move(grammar)) {
  follow(*grammar_, {{grammar_->start(), nullptr}}, threads_, complete_);
}

bool TextReading::same(const Thread& a, const Thread& b) {
  if (a.state != b.state) return false;
  const Return* left = a.back.get();
  const Return* right = b.back.get();
  while (left != right) {
    if (left == nullptr || right == nullptr || left->state != right->state) return false;
    left = left->below.get();
    right = right->below.get();
  }
  return true;
}

// Goes on from the open threads without reading, to all states that read. More readings than kMostOpen, and
// deeper ones than kDeepest, are not followed: the language shrinks, but every reading that stays can be
// completed.
void TextReading::follow(const TextGrammar& grammar, std::vector<Thread> open, std::vector<Thread>& threads,
                         bool& complete) {
  constexpr int kDeepest = 256;
  threads.clear();
  complete = false;
  for (std::size_t i = 0; i < open.size(); ++i) {
    const Thread at = open[i];
    const auto go = [&](Thread next) {
      if (open.size() >= kMostOpen ||
          std::ranges::any_of(open, [&](const Thread& o) { return same(o, next); }))
        return;
      open.push_back(std::move(next));
    };
    const TextGrammar::Node& node = grammar[at.state];
    if (!node.edges.empty()) threads.push_back(at);
    for (const TextGrammar::State to : node.empty) go({to, at.back});
    for (const TextGrammar::Call& call : node.calls) {
      if (call.tail) {  // so rules that repeat at their end stay as shallow as loops
        go({call.rule, at.back});
        continue;
      }
      const int depth = at.back ? at.back->depth + 1 : 1;
      if (depth <= kDeepest)
        go({call.rule, std::make_shared<const Return>(Return{call.back, depth, at.back})});
    }
    if (!node.ends) continue;
    if (at.back) {
      go({at.back->state, at.back->below});
    } else {
      complete = true;
    }
  }
}

bool TextReading::accept(unsigned char byte) {
  std::vector<Thread> next;
  for (const Thread& thread : threads_) {
    for (const TextGrammar::Edge& edge : (*grammar_)[thread.state].edges) {
      if (byte < edge.low || byte > edge.high) continue;
      Thread reached{edge.to, thread.back};
      if (std::ranges::none_of(next, [&](const Thread& other) { return same(other, reached); }))
        next.push_back(std::move(reached));
    }
  }
  if (next.empty()) return false;
  follow(*grammar_, std::move(next), threads_, complete_);
  return true;
}

std::string TextReading::key() const {
  std::string key(1, complete_ ? '+' : '-');
  const auto put = [&key](TextGrammar::State state) {
    char bytes[sizeof state];
    std::memcpy(bytes, &state, sizeof state);
    key.append(bytes, sizeof state);
  };
  for (const Thread& thread : threads_) {
    put(thread.state);
    for (const Return* back = thread.back.get(); back != nullptr; back = back->below.get()) put(back->state);
    put(-1);
  }
  return key;
}

}  // namespace stepdown::schema
