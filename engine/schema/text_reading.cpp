#include <algorithm>
#include <cstring>
#include <iterator>

#include "engine/schema/json_reading.h"
#include "engine/schema/text_grammar.h"

namespace stepdown::schema {

TextReading::TextReading(std::shared_ptr<const TextGrammar> grammar) : grammar_(std::move(grammar)) {
  follow(*grammar_, {{grammar_->start(), nullptr, nullptr}}, threads_, complete_);
}

bool TextReading::same(const Thread& a, const Thread& b) {
  if (a.state != b.state || a.document != b.document) return false;
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
    for (const TextGrammar::Document& document : node.documents)
      threads.push_back({document.back, at.back, document.begun});
    for (const TextGrammar::State to : node.empty) go({to, at.back, nullptr});
    for (const TextGrammar::Call& call : node.calls) {
      if (call.tail) {  // so rules that repeat at their end stay as shallow as loops
        go({call.rule, at.back, nullptr});
        continue;
      }
      const int depth = at.back ? at.back->depth + 1 : 1;
      if (depth <= kDeepest)
        go({call.rule, std::make_shared<const Return>(Return{call.back, depth, at.back}), nullptr});
    }
    if (!node.ends) continue;
    if (at.back) {
      go({at.back->state, at.back->below, nullptr});
    } else {
      complete = true;
    }
  }
}

bool TextReading::accept(unsigned char byte) {
  std::vector<Thread> next;
  std::vector<Thread> within;  // documents that go on
  for (const Thread& thread : threads_) {
    if (thread.document) {
      const auto document = std::make_shared<JsonReading>(thread.document->schema);
      if (!document->become(*thread.document, byte)) continue;
      if (document->complete()) next.push_back({thread.state, thread.back, nullptr});
      if (!document->finished()) within.push_back({thread.state, thread.back, document});
      continue;
    }
    for (const TextGrammar::Edge& edge : (*grammar_)[thread.state].edges) {
      if (byte < edge.low || byte > edge.high) continue;
      Thread reached{edge.to, thread.back, nullptr};
      if (std::ranges::none_of(next, [&](const Thread& other) { return same(other, reached); }))
        next.push_back(std::move(reached));
    }
  }
  if (next.empty() && within.empty()) return false;
  follow(*grammar_, std::move(next), threads_, complete_);
  std::ranges::move(within, std::back_inserter(threads_));
  return true;
}

const JsonReading* TextReading::document() const {
  return threads_.size() == 1 ? threads_.front().document.get() : nullptr;
}

std::optional<PlainPlace> TextReading::plain_place() const {
  if (threads_.size() != 1 || threads_.front().document || threads_.front().back) return std::nullopt;
  const TextGrammar::State state = threads_.front().state;
  return (*grammar_)[state].plain ? std::optional(PlainPlace{grammar_.get(), state}) : std::nullopt;
}

std::string TextReading::key(std::size_t horizon) const {
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
    if (!thread.document) continue;
    const std::string document = thread.document->key(horizon);
    put(static_cast<TextGrammar::State>(document.size()));
    key += document;
  }
  return key;
}

}  // namespace stepdown::schema
