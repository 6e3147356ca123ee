#include "engine/server/answer_text.h"

#include <algorithm>

#include "engine/base/utf8.h"

namespace stepdown::server {
namespace {

/// The longest end of `text` that begins `stop`, less than all of it.
std::size_t overlap(std::string_view text, std::string_view stop) {
  for (std::size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (stop.starts_with(text.substr(text.size() - length))) return length;
  }
  return 0;
}

std::string as_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = decode_utf8(bytes).length;
    text += length == 0 ? std::string_view("\xef\xbf\xbd") : bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text;
}

}  // namespace

std::string AnswerText::take(std::size_t count) {
  const std::string_view taken = std::string_view(held_).substr(0, count);
  if (language_) language_->accept(taken);
  std::string text = as_utf8(taken);
  held_.erase(0, count);
  return text;
}

bool AnswerText::whole_before(std::size_t at) const {
  if (!language_) return true;
  schema::PrefixMatcher ahead = *language_;
  return ahead.accept(std::string_view(held_).substr(0, at)) == at && ahead.complete();
}

std::size_t AnswerText::find_stop() const {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    std::size_t at = held_.find(stop);
    while (at < first && !whole_before(at)) at = held_.find(stop, at + 1);
    first = std::min(first, at);
  }
  return first;
}

std::string AnswerText::push(std::string_view bytes) {
  if (stopped_) return {};
  held_ += bytes;
  const std::size_t first = find_stop();
  std::size_t keep = unfinished_utf8_tail(held_);
  for (const std::string& stop : stops_) keep = std::max(keep, overlap(held_, stop));
  if (first == std::string::npos) return take(held_.size() - keep);
  stopped_ = true;
  std::string text = take(first);
  held_.clear();
  return text;
}

std::string AnswerText::finish() {
  return take(held_.size());
}

}  // namespace stepdown::server
