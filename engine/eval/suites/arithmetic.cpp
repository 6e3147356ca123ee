#include <array>
#include <cctype>
#include <charconv>

#include "engine/base/error.h"
#include "engine/eval/suite.h"

namespace stepdown::eval {
namespace {

/// The last whole number of a text, thousands separators apart.
std::optional<long long> last_number(const std::string& text) {
  std::string digits;
  std::optional<long long> found;
  const auto finish = [&] {
    long long value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (!digits.empty() && error == std::errc() && end == digits.data() + digits.size()) found = value;
    digits.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(text[i])) != 0;
    const bool sign = text[i] == '-' && digits.empty() && i + 1 < text.size() &&
                      std::isdigit(static_cast<unsigned char>(text[i + 1])) != 0;
    if (digit || sign) {
      digits += text[i];
    } else if (text[i] != ',' || digits.empty()) {
      finish();
    }
  }
  finish();
  return found;
}

/// arithmetic: sums, differences and products of its own; the last number of the answer must be right.
class ArithmeticSuite : public Suite {
 public:
  explicit ArithmeticSuite(std::int64_t count) {
    std::uint64_t state = 1;
    const auto below = [&](std::uint64_t limit) {  // Knuth's MMIX generator: the same prompts everywhere
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      return static_cast<long long>((state >> 33) % limit);
    };
    for (std::int64_t i = 0; i < count; ++i) {
      const long long left = 2 + below(97);
      const long long right = 2 + below(97);
      static constexpr std::array<const char*, 3> kSigns = {" + ", " - ", " × "};
      const std::array<long long, 3> results = {left + right, left - right, left * right};
      const auto kind = static_cast<std::size_t>(i % 3);
      Sample sample;
      sample.brought_by_suite = true;
      sample.id = "arithmetic-" + std::to_string(i);
      sample.messages = {{{"role", "user"},
                          {"content", "What is " + std::to_string(left) + kSigns[kind] +
                                          std::to_string(right) + "? Answer with the number alone."}}};
      sample.expected = results[kind];
      prompts_.push_back(std::move(sample));
    }
  }

  std::span<const Sample> prompts() const override { return prompts_; }

  void score(const Sample& sample, const Answers& answers, Scores& scores) const override {
    if (!sample.brought_by_suite || !sample.id.starts_with("arithmetic-") || !sample.expected) return;
    const auto number = last_number(answers.free.text);
    scores["arithmetic"] = number && *number == sample.expected->get<long long>() ? 1.0 : 0.0;
  }

 private:
  std::vector<Sample> prompts_;
};

}  // namespace

std::unique_ptr<Suite> make_arithmetic_suite(const nlohmann::json& config, const std::string& where) {
  return std::make_unique<ArithmeticSuite>(prompt_count(config, where, 30));
}

}  // namespace stepdown::eval
