#include "engine/eval/metric_kinds.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace stepdown::eval {
namespace {

constexpr std::array kKinds = std::to_array<MetricKind>({
    {"perplexity", "of the prompts' expected answers", Unit::kPlain, false},
    {"longContext", "perplexity at the ends of whole contexts", Unit::kPlain, false},
    {"wordPerplexity", "of a text, as lm-eval counts its words", Unit::kPlain, false},
    {"bytePerplexity", "of a text, over its bytes", Unit::kPlain, false},
    {"bitsPerByte", "of a text", Unit::kPlain, false},
    {"kld", "mean KL divergence from FP16, nats a token", Unit::kPlain, false},
    {"kldP99", "its 99th percentile", Unit::kPlain, false},
    {"topTokenAgreement", "tokens that FP16 would have chosen too", Unit::kShare, true},
    {"attentionError", "of the quantized cache, in its worst layer", Unit::kShare, false},
    {"jsonPass", "answers valid by the schema, decoded freely", Unit::kShare, true},
    {"jsonPassConstrained", "answers valid by the schema, decoding constrained", Unit::kShare, true},
    {"fieldAccuracy", "fields that equal the expected ones", Unit::kShare, true},
    {"exactMatch", "answers with every field right", Unit::kShare, true},
    {"citation", "quotes that occur in their source", Unit::kShare, true},
    {"refusal", "prompts refused, or not, as expected", Unit::kShare, true},
    {"arithmetic", "sums solved", Unit::kShare, true},
    {"retrieval", "facts found in long contexts", Unit::kShare, true},
    {"multiKeyRetrieval", "facts found among others like them in long contexts", Unit::kShare, true},
    {"toolCall", "tools called as expected", Unit::kShare, true},
    {"multipleChoice", "choices made right", Unit::kShare, true},
    {"latencyP50Ms", "median time of an answer", Unit::kMilliseconds, false},
    {"latencyP99Ms", "99th percentile of the time of an answer", Unit::kMilliseconds, false},
    {"tokensPerSecond", "of all concurrent answers together", Unit::kPerSecond, true},
    {"peakMemoryBytes", "VmHWM of the engine, touched file pages included", Unit::kBytes, false},
});

std::string printed(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

}  // namespace

std::span<const MetricKind> metric_kinds() {
  return kKinds;
}

MetricKind metric_kind(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &MetricKind::name);
  return found != kKinds.end() ? *found : MetricKind{name, "", Unit::kShare, true};
}

std::string shown(double value, Unit unit, bool difference) {
  if (!std::isfinite(value)) return value < 0 ? "−∞" : "∞";
  switch (unit) {
    case Unit::kShare:
      return printed(difference ? "%+.2f pp" : "%.2f %%", 100 * value);
    case Unit::kMilliseconds:
      return printed(difference ? "%+.1f ms" : "%.1f ms", value);
    case Unit::kBytes:
      return printed(difference ? "%+.1f MiB" : "%.1f MiB", value / (1 << 20));
    case Unit::kPerSecond:
      return printed(difference ? "%+.0f /s" : "%.0f /s", value);
    case Unit::kPlain:
      break;
  }
  return printed(difference ? "%+.4g" : "%.6g", value);
}

}  // namespace stepdown::eval
