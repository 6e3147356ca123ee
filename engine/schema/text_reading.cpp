#include <algorithm>
#include <cstring>
#include <iterator>

#include "engine/schema/json_reading.h"
#include "engine/schema/text_grammar.h"

namespace stepdown::schema {
namespace {

std::size_t mixed(std::size_t hash, std::size_t value) {
  constexpr std::size_t kOdd = 0x9e3779b97f4a7c15;
  hash = (hash ^ value) * kOdd;
  return hash ^ (hash >> 29);
}

}  // namespace

TextReading::TextReading(std::shared_ptr<const TextGrammar> grammar) : grammar_(std::move(grammar)) {
  follow({{grammar_->start(), nullptr, nullptr}});
}

bool TextReading::same(const Thread& a, const Thread& b) {
  if (a.state != b.state || a.document != b.document || a.back == b.back)
    return a.state == b.state && a.document == b.document;
  return a.back && b.back && a.back->hash == b.back->hash && a.back->depth == b.back->depth;
}

// Goes on from the open threads without reading, to all states that read. More readings than kMostOpen, and
// deeper ones than kDeepest, are not followed: the language shrinks, but every reading that stays can be
// completed.
void TextReading::follow(std::vector<Thread> open) {
  constexpr int kDeepest = 256;
  const TextGrammar& grammar = *grammar_;
  threads_.clear();
  complete_ = false;
  for (std::size_t i = 0; i < open.size(); ++i) {
    const Thread at = open[i];
    const auto go = [&](Thread next) {
      work_ += open.size();
      if (open.size() >= kMostOpen ||
          std::ranges::any_of(open, [&](const Thread& o) { return same(o, next); }))
        return;
      open.push_back(std::move(next));
    };
    const TextGrammar::Node& node = grammar[at.state];
    if (!node.edges.empty()) threads_.push_back(at);
    for (const TextGrammar::Document& document : node.documents)
      threads_.push_back({document.back, at.back, document.begun});
    for (const TextGrammar::State to : node.empty) go({to, at.back, nullptr});
    for (const TextGrammar::Call& call : node.calls) {
      if (call.tail) {  // so rules that repeat at their end stay as shallow as loops
        go({call.rule, at.back, nullptr});
        continue;
      }
      const int depth = at.back ? at.back->depth + 1 : 1;
      if (depth > kDeepest) continue;
      const std::size_t hash = mixed(at.back ? at.back->hash : 0, static_cast<std::size_t>(call.back));
      go({call.rule, std::make_shared<const Return>(Return{call.back, depth, hash, at.back}), nullptr});
    }
    if (!node.ends) continue;
    if (at.back) {
      go({at.back->state, at.back->below, nullptr});
    } else {
      complete_ = true;
    }
  }
}

bool TextReading::accept(unsigned char byte) {
  std::vector<Thread> next;
  std::vector<Thread> within;  // documents that go on
  work_ = 0;
  for (const Thread& thread : threads_) {
    if (thread.document) {
      const auto document = std::make_shared<JsonReading>(thread.document->schema);
      const bool goes_on = document->become(*thread.document, byte);
      work_ += document->work();
      if (!goes_on) continue;
      if (document->complete()) next.push_back({thread.state, thread.back, nullptr});
      if (!document->finished()) within.push_back({thread.state, thread.back, document});
      continue;
    }
    for (const TextGrammar::Edge& edge : (*grammar_)[thread.state].edges) {
      if (byte < edge.low || byte > edge.high) continue;
      Thread reached{edge.to, thread.back, nullptr};
      work_ += next.size();
      if (std::ranges::none_of(next, [&](const Thread& other) { return same(other, reached); }))
        next.push_back(std::move(reached));
    }
  }
  if (next.empty() && within.empty()) return false;
  follow(std::move(next));
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
