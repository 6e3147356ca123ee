#include "engine/base/program.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/base/arguments.h"

namespace stepdown {
namespace {

enum class Color { kRed, kBlue };

struct Ran {
  int status = -1;
  std::string error;
  Color color = Color::kRed;
  std::uint64_t size = 0;
};

constexpr std::uint64_t kNoFile = 404;
constexpr std::uint64_t kNoMemory = 137;

Ran run(std::vector<std::string> arguments) {
  Ran ran;
  const Command paint = {"paint", "", [&ran](CLI::App& app) -> std::function<int()> {
                           app.add_option("--color", ran.color)
                               ->required()
                               ->transform(one_of<Color>({{"red", Color::kRed}, {"blue", Color::kBlue}}));
                           app.add_option("--size", ran.size)->transform(bytes());
                           return [&ran] {
                             if (ran.size == kNoFile)
                               return static_cast<int>(std::filesystem::file_size("/nowhere"));
                             if (ran.size == kNoMemory) throw std::bad_alloc();
                             return static_cast<int>(kDone);
                           };
                         }};
  arguments.insert(arguments.begin(), "painter");
  std::vector<char*> words;
  for (std::string& word : arguments) words.push_back(word.data());
  testing::internal::CaptureStderr();
  ran.status = run_program(static_cast<int>(words.size()), words.data(), "painter", "", std::vector{paint});
  ran.error = testing::internal::GetCapturedStderr();
  return ran;
}

TEST(Program, RefusesArgumentsInOneLineWithPlaceAndMend) {
  const struct {
    std::vector<std::string> arguments;
    std::string error;
  } cases[] = {
      {{}, "painter: A subcommand is required; see painter --help\n"},
      {{"print"}, "painter: there is no command 'print'; see painter --help\n"},
      {{"paint"}, "painter paint: --color is required; see painter paint --help\n"},
      {{"paint", "--color", "red", "x"},
       "painter paint: The following argument was not expected: x; see painter paint --help\n"},
      {{"paint", "--color", "green"},
       "painter paint: --color: 'green' is none of blue, red; see painter paint --help\n"},
      {{"paint", "--color", "red", "--size", "-4"},
       "painter paint: --size: '-4' is no size; give one such as 24GiB; see painter paint --help\n"},
  };
  for (const auto& each : cases) {
    const Ran ran = run(each.arguments);
    EXPECT_EQ(ran.status, kBadInput);
    EXPECT_EQ(ran.error, each.error);
  }
}

TEST(Program, SaysHowToMendWhatTheStandardLibraryThrows) {
  const Ran file = run({"paint", "--color", "red", "--size", std::to_string(kNoFile)});
  EXPECT_EQ(file.status, kFailed);
  EXPECT_EQ(file.error,
            "painter: /nowhere: cannot get file size: No such file or directory; check the path\n");
  const Ran memory = run({"paint", "--color", "red", "--size", std::to_string(kNoMemory)});
  EXPECT_EQ(memory.status, kFailed);
  EXPECT_EQ(memory.error, "painter: the memory did not suffice; give more, or fewer --threads\n");
}

int print_to(int file) {
  const Command print = {"print", "", [](CLI::App&) -> std::function<int()> {
                           return [] { return std::printf("a result") > 0 ? kDone : kFailed; };
                         }};
  std::string words[] = {"painter", "print"};
  char* arguments[] = {words[0].data(), words[1].data()};
  ::dup2(file, STDOUT_FILENO);
  return run_program(2, arguments, "painter", "", {&print, 1});
}

TEST(Program, FailsWhereItsResultFindsNoRoom) {
  EXPECT_EXIT(std::exit(print_to(::open("/dev/full", O_WRONLY))), testing::ExitedWithCode(kFailed),
              "standard output: cannot write: No space left on device");
}

TEST(Program, LetsItsReaderLeaveEarly) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  EXPECT_EXIT(std::exit(print_to(ends[1])), testing::ExitedWithCode(kDone), "");
  ::close(ends[1]);
}

TEST(Program, ReadsNamesAndSizes) {
  EXPECT_EQ(run({"paint", "--color", "Blue"}).color, Color::kBlue);
  const std::pair<const char*, std::uint64_t> sizes[] = {{"1", 1},
                                                         {"1500", 1500},
                                                         {"2k", 2048},
                                                         {"1.5GiB", 3ULL << 29U},
                                                         {"4Mb", 4ULL << 20U},
                                                         {"2Ti", 2ULL << 40U}};
  for (const auto& [text, size] : sizes)
    EXPECT_EQ(run({"paint", "--color", "red", "--size", text}).size, size) << text;
  for (const char* text : {"", "0", "-1", "x", "4X", "4KM", "1e30", "nan", "Gi"}) {
    EXPECT_EQ(run({"paint", "--color", "red", "--size", text}).status, kBadInput) << text;
  }
}

TEST(Arguments, SayWhichNumbersTheyTake) {
  const auto said = [](const CLI::Validator& validator, std::string given) { return validator(given); };
  EXPECT_EQ(said(positive(), "0.5"), "");
  EXPECT_EQ(said(positive(), "0"), "'0' is no number above 0");
  EXPECT_EQ(said(positive(), "inf"), "'inf' is no number above 0");
  EXPECT_EQ(said(not_negative(), "0"), "");
  EXPECT_EQ(said(not_negative(), "-1"), "'-1' is no number from 0 up");
  EXPECT_EQ(said(not_negative(), "1x"), "'1x' is no number from 0 up");
}

}  // namespace
}  // namespace stepdown
