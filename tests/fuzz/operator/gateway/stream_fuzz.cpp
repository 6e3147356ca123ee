// What an engine streams: SSE framing and the judge that reads its chunks.
#include <cstdint>

#include <nlohmann/json.hpp>

#include "operator/gateway/http/sse.h"
#include "operator/gateway/judge/stream_judge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::gateway;
  if (size == 0) return 0;
  Expectation expected;
  expected.chat = (data[0] & 1U) != 0;
  if ((data[0] & 2U) != 0) expected.language.schema = stepdown::schema::Schema::any_object();
  if ((data[0] & 6U) == 4U)
    expected.language.grammar = stepdown::schema::TextGrammar::from_regex("[a-m ]*(no|yes)");
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  StreamJudge judge(expected, "");
  SseDecoder decoder;
  std::vector<std::string> events;
  for (std::size_t at = 0; at < stream.size(); at += 7) decoder.feed(stream.substr(at, 7), events);
  std::size_t shown = 0;
  for (const std::string& event : events) {
    judge.add(nlohmann::json::parse(event, nullptr, false));
    if (judge.accepted().size() < shown) __builtin_trap();  // what may be shown never shrinks
    shown = judge.accepted().size();
  }
  if (auto matcher = expected.language.matcher()) {
    const bool in_language = matcher->accept(judge.accepted()) == shown;
    if (expected.language.grammar && !in_language) __builtin_trap();  // and stays in the prefix language
  }
  judge.finish(Calibration());
  return 0;
}
