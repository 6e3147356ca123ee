#include <algorithm>
#include <array>
#include <string_view>

#include "engine/base/error.h"
#include "engine/eval/suite.h"

namespace stepdown::eval {
namespace {

constexpr std::array<const char*, 6> kFiller = {
    "The warehouse opened at six and the first trucks came soon after.",
    "Rain fell through most of the morning, and the yard was quiet.",
    "A new shift plan hangs beside the door of the office.",
    "The crane was greased and its cable looked at.",
    "Two pallets of paper went to the north gate.",
    "Nobody could say why the clock in the hall was slow.",
};
constexpr std::array<const char*, 8> kKeys = {"amber", "cobalt", "crimson", "ivory",
                                              "jade",  "olive",  "scarlet", "teal"};

/// What is asked of a text with one needle, and of one with others like it (RULER's single and multi-key):
/// a model that is asked both has a figure of each.
struct Task {
  std::string_view metric;
  std::string_view prompts;  ///< what their ids begin with; no other task's begin so
};
constexpr Task kSingle = {"retrieval", "retrieval-"};
constexpr Task kMultiKey = {"multiKeyRetrieval", "multi-key-retrieval-"};

/// retrieval: a needle (or one of several, to be told apart) in a long text of its own, at every depth in
/// turn.
class RetrievalSuite : public Suite {
 public:
  RetrievalSuite(std::int64_t count, std::int64_t words, std::int64_t keys)
      : task_(keys > 1 ? kMultiKey : kSingle) {
    for (std::int64_t i = 0; i < count; ++i) {
      const double depth = count == 1 ? 0.5 : static_cast<double>(i) / static_cast<double>(count - 1);
      const auto asked = static_cast<std::size_t>(i % keys);
      Sample sample;
      sample.brought_by_suite = true;
      sample.id = std::string(task_.prompts) + std::to_string(i);
      sample.messages = {
          {{"role", "user"},
           {"content", text(words, keys, asked, depth, i) + "\n\nWhat is the code of the " +
                           std::string(kKeys[asked]) + " locker? Answer with the code alone."}}};
      sample.expected = code(i, asked);
      prompts_.push_back(std::move(sample));
    }
  }

  std::span<const Sample> prompts() const override { return prompts_; }

  void score(const Sample& sample, const Answers& answers, Scores& scores) const override {
    if (!sample.brought_by_suite || !sample.id.starts_with(task_.prompts) || !sample.expected) return;
    const bool found = answers.free.text.find(sample.expected->get<std::string>()) != std::string::npos;
    scores[std::string(task_.metric)] = found ? 1.0 : 0.0;
  }

 private:
  static std::string code(std::int64_t prompt, std::size_t key) {
    return std::to_string(1000 + (static_cast<std::size_t>(prompt) * 7919 + key * 104729) % 9000);
  }
  static std::string needle(std::int64_t prompt, std::size_t key) {
    return "The code of the " + std::string(kKeys[key]) + " locker is " + code(prompt, key) + ".";
  }

  /// The asked needle at `depth`, the others spread evenly.
  static std::string text(std::int64_t words, std::int64_t keys, std::size_t asked, double depth,
                          std::int64_t prompt) {
    constexpr std::int64_t kWordsASentence = 11;
    const auto sentences = static_cast<std::size_t>(std::max<std::int64_t>(1, words / kWordsASentence));
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < sentences; ++i) {
      lines.emplace_back(kFiller[(i + static_cast<std::size_t>(prompt)) % kFiller.size()]);
    }
    for (std::size_t key = 0; key < static_cast<std::size_t>(keys); ++key) {
      const double where =
          key == asked ? depth : (static_cast<double>(key) + 0.5) / static_cast<double>(keys);
      const auto at = static_cast<std::ptrdiff_t>(where * static_cast<double>(lines.size()));
      lines.insert(lines.begin() + at, needle(prompt, key));
    }
    std::string all;
    for (const std::string& line : lines) all += (all.empty() ? "" : " ") + line;
    return all;
  }

  Task task_;
  std::vector<Sample> prompts_;
};

}  // namespace

std::unique_ptr<Suite> make_retrieval_suite(const nlohmann::json& config, const std::string& where) {
  const auto number = [&](const char* key, std::int64_t fallback, std::int64_t most) {
    const auto found = config.find(key);
    if (found == config.end()) return fallback;
    if (!found->is_number_integer() || found->get<std::int64_t>() < 1 || found->get<std::int64_t>() > most) {
      throw InputError("not within 1 and " + std::to_string(most), where + "." + key);
    }
    return found->get<std::int64_t>();
  };
  return std::make_unique<RetrievalSuite>(prompt_count(config, where, 10), number("words", 2000, 200000),
                                          number("keys", 1, static_cast<std::int64_t>(kKeys.size())));
}

}  // namespace stepdown::eval
