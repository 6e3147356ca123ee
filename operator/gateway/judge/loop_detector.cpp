#include "operator/gateway/judge/loop_detector.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <vector>

namespace stepdown::gateway {
namespace {

constexpr std::size_t kFine = 32;  // bytes between two looks
constexpr std::size_t kFineWindow = 512;
constexpr std::size_t kCoarse = 256;
constexpr std::size_t kCoarseWindow = 4096;
constexpr std::size_t kRepeats = 6;
constexpr std::size_t kSpan = 32;
constexpr std::size_t kSpanWithoutLetters = 128;
constexpr std::size_t kWords = 96;
constexpr double kDistinctTriples = 0.35;

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

std::string_view last(std::string_view text, std::size_t size) {
  return text.substr(text.size() - std::min(size, text.size()));
}

bool has_letter(std::string_view unit) {
  return std::any_of(unit.begin(), unit.end(),
                     [](unsigned char c) { return std::isalpha(c) != 0 || c >= 0x80; });
}

// The failure function of the reversed text: every suffix of length n has smallest period n − border[n − 1].
bool has_period(std::string_view text) {
  const std::size_t size = text.size();
  const auto at = [&](std::size_t i) { return text[size - 1 - i]; };
  std::vector<std::size_t> border(size, 0);
  for (std::size_t i = 1; i < size; ++i) {
    std::size_t length = border[i - 1];
    while (length > 0 && at(i) != at(length)) length = border[length - 1];
    border[i] = at(i) == at(length) ? length + 1 : 0;
    const std::size_t span = i + 1;
    const std::size_t period = span - border[i];
    if (span < kSpan || span < period * kRepeats) continue;
    if (span >= kSpanWithoutLetters || has_letter(text.substr(size - period))) return true;
  }
  return false;
}

bool has_few_triples(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t end = text.size();
  while (end > 0 && words.size() < kWords) {
    while (end > 0 && is_space(text[end - 1])) --end;
    std::size_t begin = end;
    while (begin > 0 && !is_space(text[begin - 1])) --begin;
    if (begin < end) words.push_back(text.substr(begin, end - begin));
    end = begin;
  }
  if (words.size() < kWords) return false;
  std::vector<std::size_t> triples;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::hash<std::string_view> hash;
    triples.push_back(hash(words[i]) + 31 * (hash(words[i - 1]) + 31 * hash(words[i - 2])));
  }
  std::sort(triples.begin(), triples.end());
  const auto distinct = std::unique(triples.begin(), triples.end()) - triples.begin();
  return static_cast<double>(distinct) < kDistinctTriples * static_cast<double>(triples.size());
}

}  // namespace

bool LoopDetector::add(std::string_view text) {
  // In steps, so that a loop in the middle of a large piece is seen.
  while (!text.empty() && !looping_) {
    const std::string_view step = text.substr(0, kFine - seen_ % kFine);
    text.remove_prefix(step.size());
    tail_.append(step);
    seen_ += step.size();
    if (tail_.size() > 2 * kCoarseWindow) tail_.erase(0, tail_.size() - kCoarseWindow);
    if (seen_ % kFine != 0) return false;
    const std::string_view tail = tail_;
    looping_ = has_period(last(tail, kFineWindow)) ||
               (seen_ % kCoarse == 0 && (has_period(last(tail, kCoarseWindow)) || has_few_triples(tail)));
  }
  return looping_;
}

}  // namespace stepdown::gateway
