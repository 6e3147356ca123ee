#include "operator/cli/text_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace stepdown::cli {
namespace {

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t taken = columns(text);
  return taken < width ? text.append(width - taken, ' ') : text;
}

}  // namespace

std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string cut(const std::string& text, std::size_t width) {
  if (columns(text) <= width) return text;
  std::string result;
  std::size_t taken = 0;
  for (const char c : text) {
    if (begins_character(c) && ++taken >= width) break;
    result += c;
  }
  return result + "…";
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width, const std::string& indent) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return lines;
  line.assign(begin, ' ');
  bool fresh = true;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (!fresh && columns(line) + 1 + columns(word) > width) {
      lines.push_back(std::move(line));
      line = indent;
      fresh = true;
    }
    line += (fresh ? "" : " ") + word;
    fresh = false;
    begin = end + 1;
  }
  lines.push_back(std::move(line));
  for (std::string& each : lines) each = cut(each, width);
  return lines;
}

std::vector<std::string> table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) line += padded(row[i], widths[i] + 2);
    lines.push_back(line.substr(0, line.find_last_not_of(' ') + 1));
  }
  return lines;
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), std::abs(value) >= 100 ? "%.0f" : "%.3g", value);
  return text.data();
}

std::string mebibytes(std::int64_t bytes) {
  return bytes <= 0 ? "-" : number(static_cast<double>(bytes) / 0x1p20) + " MiB";
}

std::string short_digest(const std::string& digest) {
  const std::size_t colon = digest.find(':');
  return (colon == std::string::npos ? digest : digest.substr(colon + 1)).substr(0, 12);
}

}  // namespace stepdown::cli
