#include "operator/local/api/clock.h"

#include <array>
#include <cstdio>
#include <ctime>

#include <openssl/rand.h>

#include "engine/base/error.h"

namespace stepdown::local::api {
namespace {

template <std::size_t kSize>
std::array<unsigned char, kSize> random_bytes() {
  std::array<unsigned char, kSize> bytes{};
  if (RAND_bytes(bytes.data(), kSize) != 1) throw Error("no random bytes from OpenSSL");
  return bytes;
}

}  // namespace

std::string now_rfc3339(long long ahead) {
  const std::time_t now = std::time(nullptr) + ahead;
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string random_uid() {
  auto bytes = random_bytes<16>();
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", bytes[i]);
    out += hex;
  }
  return out;
}

std::string random_suffix() {
  // No vowels and no look-alikes, so that no words arise.
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::string out;
  for (const unsigned char byte : random_bytes<5>()) out += kLetters[byte % kLetters.size()];
  return out;
}

long long parse_rfc3339(const std::string& text) {
  std::tm parts{};
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return 0;
  return timegm(&parts);
}

std::string human_duration(long long seconds) {
  const auto pair = [](long long first, char unit, long long rest, char rest_unit) {
    std::string out = std::to_string(first) + unit;
    if (rest > 0) out += std::to_string(rest) + rest_unit;
    return out;
  };
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return std::to_string(seconds) + "s";
  const long long minutes = seconds / 60;
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return std::to_string(minutes) + "m";
  const long long hours = minutes / 60;
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return std::to_string(hours) + "h";
  const long long days = hours / 24;
  if (hours < 192) return pair(days, 'd', hours % 24, 'h');
  if (days < 365 * 2) return std::to_string(days) + "d";
  if (days < 365 * 8) return pair(days / 365, 'y', days % 365, 'd');
  return std::to_string(days / 365) + "y";
}

}  // namespace stepdown::local::api
