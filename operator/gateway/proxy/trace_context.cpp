#include "operator/gateway/proxy/trace_context.h"

#include <algorithm>
#include <cctype>

namespace stepdown::gateway {
namespace {

constexpr std::size_t kShortest = 55;  // "00-" trace "-" span "-" flags
constexpr std::string_view kHex = "0123456789abcdef";

bool is_hex(std::string_view text) {
  return text.find_first_not_of(kHex) == std::string_view::npos;
}

bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

bool valid(std::string_view header) {
  if (header.size() < kShortest || header[2] != '-' || header[35] != '-' || header[52] != '-') return false;
  const std::string_view version = header.substr(0, 2);
  if (!is_hex(version) || version == "ff") return false;
  // Later versions may go on after a further dash.
  const bool ends = header.size() == kShortest || (version != "00" && header[kShortest] == '-');
  return ends && is_id(header.substr(3, 32)) && is_id(header.substr(36, 16)) && is_hex(header.substr(53, 2));
}

bool is_tracestate(std::string_view name) {
  constexpr std::string_view kName = "tracestate";
  return std::equal(name.begin(), name.end(), kName.begin(), kName.end(),
                    [](unsigned char a, char b) { return std::tolower(a) == b; });
}

}  // namespace

bool TraceContext::sampled() const {
  return !flags.empty() && (kHex.find(flags.back()) & 1U) != 0;
}

TraceContext trace_context(const Headers& headers, std::mt19937_64& random) {
  const std::string_view parent = find_header(headers, "traceparent");
  if (!valid(parent)) return {random_span_id(random) + random_span_id(random), "00", {}};
  TraceContext context{std::string(parent.substr(3, 32)), std::string(parent.substr(53, 2)), {}};
  for (const Header& header : headers) {
    if (!is_tracestate(header.name)) continue;
    if (!context.state.empty()) context.state += ',';
    context.state += header.value;
  }
  return context;
}

std::string random_span_id(std::mt19937_64& random) {
  std::uint64_t bits = std::max<std::uint64_t>(random(), 1);
  std::string id;
  for (int digit = 0; digit < 16; ++digit, bits >>= 4U) id += kHex[bits & 15U];
  return id;
}

std::string traceparent(const TraceContext& context, std::string_view span_id) {
  return "00-" + context.trace_id + "-" + std::string(span_id) + "-" + context.flags;
}

}  // namespace stepdown::gateway
