#include "engine/quant/calibration/corpus.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <utility>

#include "engine/base/bounded_json.h"
#include "engine/base/error.h"
#include "engine/tokenizer/messages.h"
#include "engine/tokenizer/offered_tools.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kShape =
    R"(write one {"messages": [{"role": "user", "content": "…"}]}, {"prompt": "…"} or {"text": "…"} a line)";
constexpr std::size_t kStrata = 8;

CorpusPrompt parse_line(const std::string& line, const std::string& where) {
  const auto json = parse_bounded(line);
  if (!json.is_object()) refuse_line(line, where, kShape);
  const auto text = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  CorpusPrompt prompt;
  if (const auto messages = json.find("messages"); messages != json.end()) {
    prompt.messages = *messages;
    if (const auto fault = tokenizer::normalize_messages(prompt.messages))
      throw InputError(fault->what, where, kShape);
    if (const auto fault = tokenizer::read_tools(json, prompt.tools))
      throw InputError(fault->what, where, kShape);
    if (const auto answer = json.find("expected"); answer != json.end() && !answer->is_null()) {
      prompt.messages.push_back(
          {{"role", "assistant"},
           {"content", answer->is_string() ? answer->get<std::string>() : answer->dump()}});
    }
    return prompt;
  }
  prompt.text = text("text") + text("prompt") + text("completion");
  if (prompt.text.empty()) throw InputError("holds neither messages nor prompt nor text", where, kShape);
  return prompt;
}

using Visit = std::function<void(CorpusPrompt prompt)>;
using OnBytes = std::function<void(std::uint64_t bytes)>;

void each_line(const fs::path& path, const OnBytes& on_bytes, const auto& visit) {
  std::ifstream lines(path, std::ios::binary);
  if (!lines) throw InputError("cannot open", path.string(), "check that the file is readable");
  for (std::string line; std::getline(lines, line);) {
    visit(line);
    if (on_bytes) on_bytes(line.size() + 1);
  }
  if (lines.bad()) throw Error("cannot read", path.string(), "check the disk");
}

bool is_blank(const std::string& line) {
  return line.find_first_not_of(" \t\r") == std::string::npos;
}

void read_lines(const fs::path& path, const Visit& visit, const OnBytes& on_bytes) {
  std::size_t number = 0;
  each_line(path, on_bytes, [&](const std::string& line) {
    ++number;
    if (!is_blank(line)) visit(parse_line(line, path.string() + ":" + std::to_string(number)));
  });
}

void read_paragraphs(const fs::path& path, const Visit& visit, const OnBytes& on_bytes) {
  CorpusPrompt prompt;
  const auto finish = [&] {
    if (!prompt.text.empty()) visit(std::exchange(prompt, {}));
  };
  std::size_t number = 0;
  each_line(path, on_bytes, [&](const std::string& line) {
    refuse_unless_utf8(line, path.string() + ":" + std::to_string(++number));
    is_blank(line) ? finish() : void(prompt.text += line + "\n");
  });
  finish();
}

std::vector<fs::path> corpus_files(const fs::path& path) {
  if (!fs::exists(path))
    throw InputError("no such file", path.string(), "give a .jsonl or .txt file, or a folder");
  if (fs::is_regular_file(path)) return {path};
  if (!fs::is_directory(path)) {  // pipes give what they have once
    throw InputError("is read more than once, which only files can be", path.string(),
                     "save the prompts as a .jsonl or .txt file");
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    const auto extension = entry.path().extension();
    if ((extension == ".jsonl" || extension == ".txt") && !entry.is_directory())
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

/// SplitMix64 (Steele et al. 2014): the standard library's distributions differ between implementations.
std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

std::string CorpusPrompt::plain() const {
  std::string all = text;
  if (!tools.is_null()) all += tools.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  for (const auto& message : messages) {
    all += message["content"].get<std::string>() + "\n";
    if (const auto calls = message.find("tool_calls"); calls != message.end() && !calls->is_null())
      all += calls->dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  }
  return all;
}

std::uint64_t corpus_bytes(const fs::path& path) {
  std::uint64_t sum = 0;
  for (const fs::path& file : corpus_files(path)) sum += fs::file_size(file);
  return sum;
}

void each_prompt(const fs::path& path, const Visit& visit, const OnBytes& on_bytes) {
  bool any = false;
  const auto note = [&](CorpusPrompt prompt) {
    any = true;
    visit(std::move(prompt));
  };
  for (const fs::path& file : corpus_files(path))
    file.extension() == ".txt" ? read_paragraphs(file, note, on_bytes) : read_lines(file, note, on_bytes);
  if (!any) throw InputError("holds no prompts", path.string(), kShape);
}

std::vector<std::size_t> sample_by_length(const std::vector<std::size_t>& lengths, std::size_t count,
                                          std::uint64_t seed) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  if (count >= order.size()) return order;
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return lengths[i]; });
  const std::size_t strata = std::min(kStrata, count);
  std::vector<std::size_t> chosen;
  std::uint64_t state = seed;
  for (std::size_t s = 0; s < strata; ++s) {
    const std::size_t begin = order.size() * s / strata;
    const std::size_t end = order.size() * (s + 1) / strata;
    const std::size_t wanted = count * (s + 1) / strata - count * s / strata;
    for (std::size_t i = 0; i < wanted; ++i) {  // Fisher and Yates, as far as needed
      const std::size_t rest = end - begin - i;
      std::swap(order[begin + i], order[begin + i + next_random(state) % rest]);
      chosen.push_back(order[begin + i]);
    }
  }
  std::ranges::sort(chosen);
  return chosen;
}

void BytePairs::add(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    ++counts_[static_cast<std::size_t>(static_cast<unsigned char>(text[i - 1])) << 8 |
              static_cast<unsigned char>(text[i])];
    ++total_;
  }
}

double BytePairs::share(std::size_t pair) const {
  return total_ == 0 ? 0.0 : static_cast<double>(counts_[pair]) / static_cast<double>(total_);
}

double drift_score(const BytePairs& left, const BytePairs& right) {
  const auto term = [](double p, double mean) { return p > 0 ? p * std::log2(p / mean) / 2 : 0.0; };
  double divergence = 0;
  for (std::size_t i = 0; i < left.counts_.size(); ++i) {
    const double p = left.share(i);
    const double q = right.share(i);
    const double mean = (p + q) / 2;
    divergence += term(p, mean) + term(q, mean);
  }
  return divergence;
}

}  // namespace stepdown::quant
