#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/server/tool_format.h"

// Answers as models may write them, in every format: whatever is no call comes out as content, unchanged.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view answer(reinterpret_cast<const char*>(data), size);
  for (const char* taught : {"<tool_call>", "<tool_call><function=", "[TOOL_CALLS]", "<|tool_call|>",
                             "<｜tool▁calls▁begin｜>", "plain"}) {
    for (const bool forced : {false, true}) {
      stepdown::server::ToolCallSplitter splitter(stepdown::server::tool_format_of(taught), forced);
      std::string content = splitter.push(answer.substr(0, size / 2));
      content += splitter.push(answer.substr(size / 2));
      const auto end = splitter.finish();
      if (end.calls.empty() && content + end.content != answer) std::abort();
    }
  }
  return 0;
}
