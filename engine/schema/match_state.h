#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/schema/grammar.h"
#include "engine/schema/utf8_state.h"

namespace stepdown::schema {

/// Where a value being written stands. `count`, `mark` and `aux` mean what the phase says.
struct Frame {
  NodeId node = kNoNode;  ///< kNoNode: the document itself
  std::uint8_t phase = 0;
  std::uint8_t space = 0;  ///< whitespace since the last token, see take_space
  std::int16_t depth = 0;  ///< containers around this value
  std::int64_t count = 0;  ///< items, code points, or digits so far
  std::int32_t mark = 0;   ///< next property, trie node, DFA state or \u digits
  std::int32_t aux = 0;    ///< trie node of a property's name, UTF-8 state
  bool operator==(const Frame&) const = default;
};

/// What becomes of the values around once the innermost is done: frames as they stand after it.
struct Stack {
  Frame frame;
  std::shared_ptr<const Stack> below;
};
using StackPtr = std::shared_ptr<const Stack>;

/// One way to read the text so far. Alternatives that begin alike are several threads.
struct Thread {
  Frame top;
  StackPtr below;
};

/// Threads after one more byte are gathered here. More than `kMostThreads` readings are not followed: the
/// language shrinks, but every reading that stays can be completed.
class Threads {
 public:
  static constexpr std::size_t kMostThreads = 256;
  void add(const Frame& top, const StackPtr& below) {
    if (list_.size() >= kMostThreads) return;
    constexpr std::size_t kAtOnce = 16;  // comparisons, beside what a reading's step costs
    work_ += 1 + list_.size() / kAtOnce;
    for (const Thread& other : list_) {
      if (other.top == top && other.below == below) return;
    }
    list_.push_back({top, below});
  }
  void clear() {
    list_.clear();
    work_ = 0;
  }
  std::size_t work() const { return work_; }
  const std::vector<Thread>& list() const { return list_; }

 private:
  std::vector<Thread> list_;
  std::size_t work_ = 0;
};

/// Whether the byte is whitespace that still may stand here; counts it. Between tokens that is one space, or
/// one newline with at most four spaces or tabs a level: enough for every usual layout, too little to dawdle
/// in.
inline bool take_space(Frame& frame, unsigned char byte) {
  constexpr std::uint8_t kSpace = 1;
  constexpr std::uint8_t kNewline = 2;  // and above: newline and indentation
  if (frame.space == 0 && (byte == ' ' || byte == '\n')) {
    frame.space = byte == ' ' ? kSpace : kNewline;
    return true;
  }
  const int most = std::min(kNewline + 4 * (frame.depth + 1), 250);
  const bool indents =
      (byte == ' ' || byte == '\t') && frame.node != kNoNode && frame.space >= kNewline && frame.space < most;
  if (indents) ++frame.space;
  return indents;
}

/// Steps of each kind of frame. They add what the byte leads to; nothing when it leads nowhere.
struct Step {
  const Grammar& grammar;
  unsigned char byte;
  Threads& out;

  void run(const Frame& frame, const StackPtr& below) const;
  /// The value is done before this byte, which belongs to what is around it.
  void end_before(const StackPtr& below) const;
  /// The value is done with this byte.
  void end_with(const StackPtr& below) const { out.add(below->frame, below->below); }
  /// This byte begins a value of the rule; afterwards `around` stands as given.
  void begin(NodeId rule, const Frame& around, const StackPtr& below, int depth) const;
  bool fits(NodeId rule, int depth) const { return depth + grammar[rule].height <= kDeepest; }

  void document(Frame frame) const;
  void object(Frame frame, const StackPtr& below) const;
  void array(Frame frame, const StackPtr& below) const;
  void string(Frame frame, const StackPtr& below) const;
  void number(Frame frame, const StackPtr& below) const;
  void bounded_number(Frame frame, const StackPtr& below) const;
  void literal(Frame frame, const StackPtr& below) const;
};

/// The value of the frame may end here though nothing said so: numbers, and literals that others continue.
bool may_end(const Grammar& grammar, const Frame& frame);

namespace phase {
enum Document : std::uint8_t { kBefore, kDone };
enum Container : std::uint8_t {
  kOpen,
  kAfterOpen,
  kName,
  kOtherName,
  kAfterName,
  kBeforeValue,
  kAfterValue,
  kAfterComma
};
enum String : std::uint8_t { kQuote, kBody, kEscape, kHex, kLowSurrogate, kLowSurrogateU, kLowHex, kUtf8 };
enum Number : std::uint8_t {
  kStart,
  kSign,
  kZero,
  kInteger,
  kPoint,
  kFraction,
  kExponent,
  kExponentSign,
  kExponentDigits
};
}  // namespace phase

/// Packed state of a bounded number in a frame.
DecimalRange::Prefix decimal_of(const Frame& frame);

}  // namespace stepdown::schema
