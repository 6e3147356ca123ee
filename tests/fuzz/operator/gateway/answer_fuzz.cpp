// What an engine answers, and what a client asks for.
#include <cstdint>

#include <nlohmann/json.hpp>

#include "operator/gateway/judge/judgement.h"
#include "operator/gateway/judge/member.h"
#include "operator/gateway/proxy/requests.h"
#include "operator/gateway/route/agreement.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::gateway;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (nests_too_deep(text)) return 0;
  LanguageCache languages;
  Expectation expected;
  const auto request = nlohmann::ordered_json::parse(text, nullptr, false);
  if (request.is_object()) {
    greedy_copy(request);
    for (const bool chat : {false, true}) {
      expected = expect(request, chat, languages);
      continuation(request, expected, "so far", 2);
    }
  }
  for (const bool chat : {false, true}) {
    expected.chat = chat;
    const Judgement judgement = judge_answer(200, text, expected, Calibration());
    judge_answer(500, text, expected, Calibration());
    const double differ = disagreement(judgement.text, text);
    if (!(differ >= 0 && differ <= 1)) __builtin_trap();
  }
  return 0;
}
