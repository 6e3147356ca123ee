#include <algorithm>
#include <string_view>

#include "engine/schema/match_state.h"

namespace stepdown::schema {
namespace {

using namespace phase;

bool is_digit(unsigned char byte) {
  return byte >= '0' && byte <= '9';
}

int hex_value(unsigned char byte) {
  if (is_digit(byte)) return byte - '0';
  const auto lower = static_cast<unsigned char>(byte | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr std::int64_t kMostDigits = 20;
constexpr int kLargestExponent = 280;  // with 20 digits before the point still a finite double

}  // namespace

std::int32_t next_utf8(std::int32_t state, unsigned char byte) {
  if (state == 0) return byte < 0x80 ? 0 : byte >= 0xc2 && byte <= 0xf4 ? byte : kNoUtf8;
  // No overlong forms, no surrogates, nothing above U+10FFFF.
  const int low = state == 0xe0 ? 0xa0 : state == 0xf0 ? 0x90 : 0x80;
  const int high = state == 0xed ? 0x9f : state == 0xf4 ? 0x8f : 0xbf;
  if (byte < low || byte > high) return kNoUtf8;
  if (state <= 2) return state - 1;
  return state < 0xe0 ? 0 : state < 0xf0 ? 1 : 2;
}

// count: code points begun; mark: DFA state, or digits of a \u escape as 0x10000·digits + value; aux: the
// UTF-8 lead byte whose second byte is due, or continuation bytes to come.
void Step::string(Frame frame, const StackPtr& below) const {
  const Node& node = grammar[frame.node];
  const auto to = [&](std::uint8_t phase) {
    frame.phase = phase;
    out.add(frame, below);
  };
  if (frame.phase == kQuote) return byte == '"' ? to(kBody) : void();
  if (node.written) {
    if (byte == '"') return node.written->accepts(frame.mark) ? end_with(below) : void();
    frame.mark = node.written->next(frame.mark, byte);
    return frame.mark == StringPattern::kDead ? void() : to(kBody);
  }
  switch (frame.phase) {
    case kBody:
      if (byte == '"') return frame.count >= node.least ? end_with(below) : void();
      if (byte < 0x20 || frame.count >= node.most) return;
      ++frame.count;
      if (byte == '\\') return to(kEscape);
      frame.aux = next_utf8(0, byte);
      return frame.aux == kNoUtf8 ? void() : to(frame.aux == 0 ? kBody : kUtf8);
    case kUtf8:
      frame.aux = next_utf8(frame.aux, byte);
      return frame.aux == kNoUtf8 ? void() : to(frame.aux == 0 ? kBody : kUtf8);
    case kEscape:
      if (byte == 'u') {
        frame.mark = 0;
        return to(kHex);
      }
      return std::string_view("\"\\/bfnrt").find(static_cast<char>(byte)) != std::string_view::npos
                 ? to(kBody)
                 : void();
    case kLowSurrogate:
      return byte == '\\' ? to(kLowSurrogateU) : void();
    case kLowSurrogateU:
      return byte == 'u' ? to(kLowHex) : void();
    default:
      break;
  }
  // kHex, kLowHex: a high surrogate needs a low one behind it, and a low one stands nowhere else.
  const int digit = hex_value(byte);
  if (digit < 0) return;
  const int digits = (frame.mark >> 16) + 1;
  const int value = ((frame.mark & 0xffff) << 4) | digit;
  const bool low = frame.phase == kLowHex;
  if (digits == 1 && low && value != 0xd) return;
  if (digits == 2 && low && value < 0xdc) return;
  if (digits == 2 && !low && value >= 0xdc && value <= 0xdf) return;
  frame.mark = (digits << 16) | value;
  if (digits < 4) return to(frame.phase);
  frame.mark = 0;
  to(!low && value >= 0xd800 && value <= 0xdbff ? kLowSurrogate : kBody);
}

// count: digits of the part being written; mark: the exponent's value.
void Step::number(Frame frame, const StackPtr& below) const {
  const auto to = [&](std::uint8_t phase, std::int64_t digits) {
    frame.phase = phase;
    frame.count = digits;
    out.add(frame, below);
  };
  switch (frame.phase) {
    case kStart:
      if (byte == '-') return to(kSign, 0);
      [[fallthrough]];
    case kSign:
      return byte == '0' ? to(kZero, 1) : is_digit(byte) ? to(kInteger, 1) : void();
    case kZero:
    case kInteger:
      if (is_digit(byte) && frame.phase == kInteger && frame.count < kMostDigits)
        return to(kInteger, frame.count + 1);
      if (byte == '.') return to(kPoint, 0);
      if (byte == 'e' || byte == 'E') return to(kExponent, 0);
      break;
    case kPoint:
      return is_digit(byte) ? to(kFraction, 1) : void();
    case kFraction:
      if (is_digit(byte) && frame.count < kMostDigits) return to(kFraction, frame.count + 1);
      if (byte == 'e' || byte == 'E') return to(kExponent, 0);
      break;
    case kExponent:
      if (byte == '-' || byte == '+') return to(kExponentSign, 0);
      [[fallthrough]];
    case kExponentSign:
    default:
      if (!is_digit(byte)) break;
      frame.mark = frame.mark * 10 + (byte - '0');
      if (frame.count < 3 && frame.mark <= kLargestExponent) return to(kExponentDigits, frame.count + 1);
      return;
  }
  if (may_end(grammar, frame)) end_before(below);
}

DecimalRange::Prefix decimal_of(const Frame& frame) {
  return {frame.count, (frame.mark & 1) != 0, (frame.mark & 2) != 0, static_cast<std::int8_t>(frame.aux - 1)};
}

// count: the digits; mark: bit 0 negative, bit 1 a digit was written; aux: digits behind the point + 1, 0
// before it.
void Step::bounded_number(Frame frame, const StackPtr& below) const {
  DecimalRange::Prefix prefix = decimal_of(frame);
  const bool complete = grammar[frame.node].range.complete(prefix);
  if (grammar[frame.node].range.accept(prefix, byte)) {
    frame.count = prefix.digits;
    frame.mark = (prefix.negative ? 1 : 0) | (prefix.any ? 2 : 0);
    frame.aux = prefix.fraction + 1;
    out.add(frame, below);
  } else if (complete) {
    end_before(below);
  }
}

// mark: trie node.
void Step::literal(Frame frame, const StackPtr& below) const {
  const LiteralTrie& trie = grammar[frame.node].literals;
  const std::int32_t next = trie.next(frame.mark, byte);
  if (next == LiteralTrie::kNone) {
    if (may_end(grammar, frame)) end_before(below);
    return;
  }
  frame.mark = next;
  if (trie.text_at(next) != LiteralTrie::kNone && !trie.has_more(next)) return end_with(below);
  out.add(frame, below);
}

bool may_end(const Grammar& grammar, const Frame& frame) {
  if (frame.node == kNoNode) return false;
  const Node& node = grammar[frame.node];
  switch (node.kind) {
    case NodeKind::kNumber:
      return frame.phase == kZero || frame.phase == kInteger || frame.phase == kFraction ||
             frame.phase == kExponentDigits;
    case NodeKind::kBoundedNumber:
      return node.range.complete(decimal_of(frame));
    case NodeKind::kLiterals:
      return node.literals.text_at(frame.mark) != LiteralTrie::kNone;
    default:
      return false;
  }
}

}  // namespace stepdown::schema
