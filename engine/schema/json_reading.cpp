#include "engine/schema/json_reading.h"

#include <algorithm>
#include <cstring>

namespace stepdown::schema {

void Step::run(const Frame& frame, const StackPtr& below) const {
  if (frame.node == kNoNode) return document(frame);
  switch (grammar[frame.node].kind) {
    case NodeKind::kObject:
      return object(frame, below);
    case NodeKind::kArray:
      return array(frame, below);
    case NodeKind::kString:
      return string(frame, below);
    case NodeKind::kNumber:
      return number(frame, below);
    case NodeKind::kBoundedNumber:
      return bounded_number(frame, below);
    case NodeKind::kLiterals:
      return literal(frame, below);
    case NodeKind::kAnyOf:
      return;  // begin() looks through alternatives, so that none becomes a frame
  }
}

void Step::end_before(const StackPtr& below) const {
  run(below->frame, below->below);
}

void Step::begin(NodeId rule, const Frame& around, const StackPtr& below, int depth) const {
  if (!fits(rule, depth)) return;
  const Node& node = grammar[rule];
  if (node.kind == NodeKind::kAnyOf) {
    for (const NodeId alternative : node.alternatives) begin(alternative, around, below, depth);
    return;
  }
  Frame fresh;
  fresh.node = rule;
  fresh.depth = static_cast<std::int16_t>(depth);
  run(fresh, std::make_shared<const Stack>(Stack{around, below}));
}

void Step::document(Frame frame) const {
  if (frame.phase == phase::kDone) return;
  Frame waiting = frame;
  if (take_space(waiting, byte)) return out.add(waiting, nullptr);
  frame.phase = phase::kDone;
  frame.space = 0;
  begin(grammar.root, frame, nullptr, 0);
}

namespace {

template <typename T>
void put(std::string& key, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  key.append(bytes, sizeof(T));
}

/// Counts are told as what is missing and what is left, as far as the horizon sees.
void put_frame(std::string& key, const Grammar& grammar, const Frame& frame, std::int64_t horizon) {
  put(key, frame.node);
  put(key, frame.phase);
  put(key, frame.space);
  put(key, frame.mark);
  put(key, frame.aux);
  put(key, frame.depth);
  const bool counted = frame.node != kNoNode && (grammar[frame.node].kind == NodeKind::kArray ||
                                                 grammar[frame.node].kind == NodeKind::kString);
  if (!counted) {
    put(key, frame.count);
    return;
  }
  const Node& node = grammar[frame.node];
  const auto fixed = static_cast<std::int64_t>(node.prefix.size());
  put(key, std::clamp<std::int64_t>(node.least - frame.count, 0, horizon));
  const std::int64_t seen = horizon + node.least_contained;  // what must come decides what else may
  put(key, node.most == kUnbounded ? seen : std::clamp<std::int64_t>(node.most - frame.count, 0, seen));
  put(key, std::max<std::int64_t>(fixed - frame.count, 0));
}

}  // namespace

bool JsonReading::accept(unsigned char byte) {
  Threads next;
  const Step step{schema->grammar(), byte, next};
  for (const Thread& thread : threads.list()) step.run(thread.top, thread.below);
  if (next.list().empty()) return false;
  threads = std::move(next);
  return true;
}

bool JsonReading::become(const JsonReading& before, unsigned char byte) {
  threads.clear();
  const Step step{schema->grammar(), byte, threads};
  for (const Thread& thread : before.threads.list()) step.run(thread.top, thread.below);
  return !threads.list().empty();
}

bool JsonReading::complete() const {
  return std::ranges::any_of(threads.list(), [this](const Thread& thread) {
    if (thread.top.node == kNoNode) return thread.top.phase == phase::kDone;
    return may_end(schema->grammar(), thread.top) && thread.below->frame.node == kNoNode;
  });
}

bool JsonReading::finished() const {
  return std::ranges::all_of(threads.list(), [](const Thread& thread) {
    return thread.top.node == kNoNode && thread.top.phase == phase::kDone;
  });
}

std::string JsonReading::key(std::size_t horizon) const {
  std::string key;
  const Grammar& grammar = schema->grammar();
  for (const Thread& thread : threads.list()) {
    put_frame(key, grammar, thread.top, static_cast<std::int64_t>(horizon));
    for (const Stack* below = thread.below.get(); below != nullptr; below = below->below.get()) {
      put_frame(key, grammar, below->frame, static_cast<std::int64_t>(horizon));
    }
    key += '|';
  }
  return key;
}

std::optional<std::size_t> JsonReading::free_text() const {
  std::int64_t most = 0;
  for (const Thread& thread : threads.list()) {
    if (thread.top.node == kNoNode) return std::nullopt;
    const Node& node = schema->grammar()[thread.top.node];
    // A name that is declared may not end there, but whatever it begins with may be written.
    if (node.kind == NodeKind::kObject && thread.top.phase == phase::kOtherName && thread.top.count == 0 &&
        !node.names_written)
      return static_cast<std::size_t>(kUnbounded);  // what other readings allow is among it
    if (thread.top.phase != phase::kBody || node.kind != NodeKind::kString || node.written)
      return std::nullopt;
    most = std::max(most, node.most == kUnbounded ? kUnbounded : node.most - thread.top.count);
  }
  return static_cast<std::size_t>(most);
}

std::optional<PatternPlace> JsonReading::pattern_place() const {
  if (threads.list().size() != 1) return std::nullopt;
  const Frame& top = threads.list().front().top;
  if (top.node == kNoNode || top.phase != phase::kBody) return std::nullopt;
  const Node& node = schema->grammar()[top.node];
  if (node.kind != NodeKind::kString || !node.written) return std::nullopt;
  return PatternPlace{node.written.get(), top.mark};
}

}  // namespace stepdown::schema
