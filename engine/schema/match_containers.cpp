#include <algorithm>

#include "engine/schema/match_state.h"

namespace stepdown::schema {
namespace {

using namespace phase;

/// The first required property at or behind `from`, or the last property.
std::int32_t last_candidate(const Node& node, std::int32_t from) {
  const auto count = static_cast<std::int32_t>(node.properties.size());
  for (std::int32_t i = from; i < count; ++i) {
    if (node.properties[static_cast<std::size_t>(i)].required) return i;
  }
  return count - 1;
}

bool all_required_written(const Node& node, std::int32_t next) {
  return std::none_of(node.properties.begin() + next, node.properties.end(),
                      [](const Node::Property& p) { return p.required; });
}

}  // namespace

// count: UTF-8 state of an undeclared name, or its state in the names' pattern; mark: the next property that
// may come; aux: trie node of the name being written.
void Step::object(Frame frame, const StackPtr& below) const {
  const Node& node = grammar[frame.node];
  const int inner = frame.depth + 1;
  switch (frame.phase) {
    case kOpen:
      if (byte != '{') return;
      frame.phase = kAfterOpen;
      return out.add(frame, below);
    case kAfterOpen:
    case kAfterComma: {
      if (take_space(frame, byte)) return out.add(frame, below);
      if (byte == '}' && frame.phase == kAfterOpen && node.least == 0 && all_required_written(node, 0))
        return end_with(below);
      if (byte != '"') return;
      frame.space = 0;
      frame.aux = 0;
      frame.phase = kName;
      const std::int32_t last = last_candidate(node, frame.mark);
      bool any = false;
      for (std::int32_t i = frame.mark; i <= last; ++i)
        any = any || fits(node.properties[static_cast<std::size_t>(i)].value, inner);
      if (any) out.add(frame, below);
      if (node.additional == kNoNode || !all_required_written(node, frame.mark) ||
          !fits(node.additional, inner))
        return;
      frame.phase = kOtherName;
      frame.count = 0;
      frame.mark = static_cast<std::int32_t>(node.properties.size());
      return out.add(frame, below);
    }
    case kName: {
      const std::int32_t last = last_candidate(node, frame.mark);
      if (byte == '"') {
        const std::int32_t property = node.literals.text_at(frame.aux);
        if (property < frame.mark || property > last ||
            !fits(node.properties[static_cast<std::size_t>(property)].value, inner))
          return;
        frame.mark = property + 1;
        frame.phase = kAfterName;
        return out.add(frame, below);
      }
      frame.aux = node.literals.next(frame.aux, byte);
      if (frame.aux == LiteralTrie::kNone) return;
      for (std::int32_t i = frame.mark; i <= last; ++i) {  // some property below can still be completed
        if (fits(node.properties[static_cast<std::size_t>(i)].value, inner) &&
            node.literals.reaches(frame.aux, i, i))
          return out.add(frame, below);
      }
      return;
    }
    case kOtherName: {
      // A declared name may not come here, nor one that needs escapes.
      const StringPattern* names = node.names_written.get();
      const auto state = static_cast<std::int32_t>(frame.count);
      if (byte == '"' && (names != nullptr ? names->accepts(state) : state == 0)) {
        if (frame.aux != LiteralTrie::kNone && node.literals.text_at(frame.aux) != LiteralTrie::kNone) return;
        frame.phase = kAfterName;
        frame.aux = LiteralTrie::kNone;
        frame.count = 0;
        return out.add(frame, below);
      }
      frame.count = names != nullptr ? names->next(state, byte) : next_utf8(state, byte);
      if (byte < 0x20 || byte == '"' || byte == '\\') return;
      if (frame.count == (names != nullptr ? StringPattern::kDead : kNoUtf8)) return;
      if (frame.aux != LiteralTrie::kNone) frame.aux = node.literals.next(frame.aux, byte);
      return out.add(frame, below);
    }
    case kAfterName:
      if (take_space(frame, byte)) return out.add(frame, below);
      if (byte != ':') return;
      frame.phase = kBeforeValue;
      frame.space = 0;
      return out.add(frame, below);
    case kBeforeValue: {
      Frame waiting = frame;
      if (take_space(waiting, byte)) out.add(waiting, below);
      const NodeId rule = frame.aux == LiteralTrie::kNone
                              ? node.additional
                              : node.properties[static_cast<std::size_t>(frame.mark - 1)].value;
      frame.phase = kAfterValue;
      frame.space = 0;
      frame.aux = 0;
      return begin(rule, frame, below, inner);
    }
    default:
      if (take_space(frame, byte)) return out.add(frame, below);
      frame.space = 0;
      if (byte == '}' && all_required_written(node, frame.mark)) return end_with(below);
      if (byte != ',') return;
      const bool more = frame.mark < static_cast<std::int32_t>(node.properties.size());
      const std::int32_t last = last_candidate(node, frame.mark);
      bool possible = node.additional != kNoNode && all_required_written(node, frame.mark) &&
                      fits(node.additional, inner);
      for (std::int32_t i = frame.mark; more && i <= last; ++i)
        possible = possible || fits(node.properties[static_cast<std::size_t>(i)].value, inner);
      if (!possible) return;
      frame.phase = kAfterComma;
      return out.add(frame, below);
  }
}

// count: items begun; mark: a bit for each of the choices that was taken, or how many were counted.
void Step::array(Frame frame, const StackPtr& below) const {
  const Node& node = grammar[frame.node];
  const int inner = frame.depth + 1;
  const bool contains = node.contains != kNoNode;
  const auto rule = [&](std::int64_t index) {
    return index < static_cast<std::int64_t>(node.prefix.size())
               ? node.prefix[static_cast<std::size_t>(index)]
           : contains ? node.other
                      : node.items;
  };
  const auto may_count = [&] {
    const bool bounded = node.most_contained != kAnyCount;
    return contains && frame.mark < (bounded ? node.most_contained : node.least_contained);
  };
  const auto may_be_other = [&] {  // and leave room for those that must still be counted
    return !contains || node.most - frame.count > node.least_contained - frame.mark;
  };
  const auto may_follow = [&] {
    if (frame.count >= node.most) return false;
    if (may_count() && fits(node.counted, inner)) return true;
    return may_be_other() && rule(frame.count) != kNoNode && fits(rule(frame.count), inner);
  };
  const auto begin_item = [&] {
    const NodeId item = rule(frame.count);
    const bool counts = may_count();
    const bool other = may_be_other();
    frame.phase = kAfterValue;
    frame.space = 0;
    if (frame.count < kUnbounded) ++frame.count;
    if (counts) {
      Frame around = frame;
      ++around.mark;
      begin(node.counted, around, below, inner);
    }
    if (node.choices.empty()) return other ? begin(item, frame, below, inner) : void();
    for (std::size_t i = 0; i < node.choices.size(); ++i) {
      Frame around = frame;
      around.mark |= 1 << i;
      if (around.mark != frame.mark) begin(node.choices[i], around, below, inner);
    }
  };
  Frame waiting = frame;
  if (frame.phase != kOpen && take_space(waiting, byte)) return out.add(waiting, below);
  switch (frame.phase) {
    case kOpen:
      if (byte != '[') return;
      frame.phase = kAfterOpen;
      return out.add(frame, below);
    case kAfterOpen:
      if (byte == ']') return node.least == 0 ? end_with(below) : void();
      if (may_follow()) begin_item();
      return;
    case kAfterComma:
      return begin_item();
    default:
      if (byte == ']' && frame.count >= node.least && (!contains || frame.mark >= node.least_contained))
        return end_with(below);
      if (byte != ',' || !may_follow()) return;
      frame.phase = kAfterComma;
      frame.space = 0;
      return out.add(frame, below);
  }
}

}  // namespace stepdown::schema
