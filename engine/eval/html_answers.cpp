#include <algorithm>
#include <utility>

#include "engine/eval/html_parts.h"

namespace stepdown::eval {
namespace {

constexpr std::size_t kWorseShown = 20;
constexpr std::size_t kOthersShown = 10;

struct Pair {
  const SampleResult* before;
  const SampleResult* after;
  double loss;
};

double total(const Scores& scores) {
  double sum = 0;
  for (const auto& [name, score] : scores) sum += score;
  return sum;
}

std::vector<Pair> pairs(const Report& report, const Report& baseline) {
  std::map<std::string_view, const SampleResult*> before;
  for (const SampleResult& sample : baseline.samples) before[sample.id] = &sample;
  std::vector<Pair> found;
  for (const SampleResult& sample : report.samples) {
    if (const auto partner = before.find(sample.id); partner != before.end())
      found.push_back({partner->second, &sample, total(partner->second->scores) - total(sample.scores)});
  }
  return found;
}

/// How much of two texts is equal at their beginning; never half of a UTF-8 character.
std::size_t common_beginning(std::string_view a, std::string_view b) {
  const auto [at, other] = std::ranges::mismatch(a, b);
  auto length = static_cast<std::size_t>(at - a.begin());
  while (length > 0 && length < a.size() && (static_cast<unsigned char>(a[length]) & 0xc0) == 0x80) --length;
  return length;
}

/// The text, with what lies between its beginning and end that the other shares marked.
std::string marked(std::string_view text, std::string_view other) {
  const std::size_t beginning = common_beginning(text, other);
  std::size_t end = 0;
  const std::size_t most = std::min(text.size(), other.size()) - beginning;
  while (end < most && text[text.size() - 1 - end] == other[other.size() - 1 - end]) ++end;
  while (end > 0 && (static_cast<unsigned char>(text[text.size() - end]) & 0xc0) == 0x80) --end;
  const std::string middle = html_escaped(text.substr(beginning, text.size() - beginning - end));
  return html_escaped(text.substr(0, beginning)) + (middle.empty() ? "" : "<mark>" + middle + "</mark>") +
         html_escaped(text.substr(text.size() - end));
}

void answer(std::ostream& out, std::string_view whose, const SampleResult& sample, std::string_view other) {
  out << "<div>" << whose << " (" << html_escaped(sample.finish_reason) << "):<pre>"
      << marked(sample.text, other) << "</pre></div>";
}

void show(std::ostream& out, const Pair& pair, const Prompts& prompts) {
  const bool same = pair.before->text == pair.after->text;
  out << "<details><summary>" << html_escaped(pair.after->id)
      << (same ? " <small>the same answer</small>" : "") << "</summary>";
  if (const auto prompt = prompts.find(pair.after->id); prompt != prompts.end())
    out << "Prompt:<pre>" << html_escaped(prompt->second) << "</pre>";
  out << "<div class=\"pair\">";
  answer(out, "FP16", *pair.before, pair.after->text);
  answer(out, "measured", *pair.after, pair.before->text);
  out << "</div></details>\n";
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void answers_side_by_side(std::ostream& out, const Report& report, const Report& baseline,
                          const Prompts& prompts) {
  std::vector<Pair> all = pairs(report, baseline);
  const auto others = std::ranges::stable_partition(all, [](const Pair& pair) { return pair.loss > 0; });
  const std::span<Pair> worse(all.begin(), others.begin());
  std::ranges::stable_sort(worse, std::greater<>(), &Pair::loss);
  out << "<h2>Prompts that got worse: " << worse.size() << " of " << report.samples.size() << "</h2>\n";
  for (const Pair& pair : worse.first(std::min(worse.size(), kWorseShown))) show(out, pair, prompts);
  if (others.empty()) return;
  out << "<h2>Others, for a spot check</h2>\n";
  const std::size_t shown = std::min(others.size(), kOthersShown);
  for (std::size_t i = 0; i < shown; ++i) show(out, others[i * others.size() / shown], prompts);
}

}  // namespace stepdown::eval
