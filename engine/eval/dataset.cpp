#include "engine/eval/dataset.h"

#include <set>
#include <sstream>
#include <string_view>

#include "engine/base/atomic_file.h"
#include "engine/base/bounded_json.h"
#include "engine/base/error.h"
#include "engine/tokenizer/messages.h"
#include "engine/tokenizer/offered_tools.h"

namespace stepdown::eval {
namespace {

constexpr std::string_view kShape =
    R"(write one {"id": …, "messages": [{"role": "user", "content": "…"}]} a line)";

Sample parse_sample(const std::string& line, const std::string& where, std::size_t number) {
  const auto fail = [&](const std::string& what) { throw InputError(what, where, std::string(kShape)); };
  const auto json = parse_bounded(line);
  if (!json.is_object()) refuse_line(line, where, std::string(kShape));
  Sample sample;
  sample.id = std::to_string(number);
  if (const auto id = json.find("id"); id != json.end()) {
    if (!id->is_string() && !id->is_number_integer()) fail("id is neither a string nor a whole number");
    sample.id = id->is_string() ? id->get<std::string>() : id->dump();
  }
  const auto messages = json.find("messages");
  if (messages == json.end()) fail("messages is missing");
  sample.messages = *messages;
  if (const auto fault = tokenizer::normalize_messages(sample.messages)) fail(fault->what);
  if (const auto fault = tokenizer::read_tools(json, sample.tools)) fail(fault->what);
  if (const auto expected = json.find("expected"); expected != json.end()) sample.expected = *expected;
  if (const auto refuse = json.find("refuse"); refuse != json.end()) {
    if (!refuse->is_boolean()) fail("refuse is not true or false");
    sample.refuse = refuse->get<bool>();
  }
  return sample;
}

}  // namespace

std::vector<Sample> read_dataset(const std::filesystem::path& path) {
  std::istringstream lines(read_file(path));
  std::vector<Sample> samples;
  std::set<std::string> ids;
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = path.string() + ":" + std::to_string(number);
    samples.push_back(parse_sample(line, where, number));
    if (!ids.insert(samples.back().id).second) {
      throw InputError("id " + samples.back().id + " stands twice", where,
                       "give each prompt an id of its own");
    }
  }
  if (samples.empty()) throw InputError("no prompts", path.string(), std::string(kShape));
  return samples;
}

}  // namespace stepdown::eval
