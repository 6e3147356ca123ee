#include "engine/schema/text_grammar.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/schema/schema.h"

namespace stepdown::schema {
namespace {

enum class Holds { kWhole, kBeginning, kNot };

Holds judge(const std::shared_ptr<const TextGrammar>& grammar, std::string_view text) {
  PrefixMatcher matcher(grammar);
  if (matcher.accept(text) != text.size()) return Holds::kNot;
  return matcher.complete() ? Holds::kWhole : Holds::kBeginning;
}

struct Case {
  std::string grammar;
  std::string text;
  Holds holds;
};

TEST(TextGrammar, FollowsGbnf) {
  const std::string arithmetic =
      "root  ::= term ([-+*/] term)*   # a comment\n"
      "term  ::= num | \"(\" ws root ws \")\"\n"
      "num   ::= [0-9]+ (\".\" [0-9]{1,2})?\n"
      "ws    ::= [ \\t]{0,2}\n";
  const std::string list =
      "root ::= item+\n\n# items\nitem ::= \"- \" [^\\r\\n\\x0b]+ \"\\n\"\n      | \"* \" letter{2,} "
      "\"\\n\"\nletter ::= [a-zä\\u00f6]\n";
  const Case cases[] = {
      {arithmetic, "1+2", Holds::kWhole},
      {arithmetic, "(1+2)*3.14", Holds::kWhole},
      {arithmetic, "( 1 )", Holds::kWhole},
      {arithmetic, "((1", Holds::kBeginning},
      {arithmetic, "1+", Holds::kBeginning},
      {arithmetic, "1.", Holds::kBeginning},
      {arithmetic, "1.234", Holds::kNot},
      {arithmetic, "(   1)", Holds::kNot},
      {arithmetic, ")", Holds::kNot},
      {arithmetic, "", Holds::kBeginning},
      {list, "- über ☃\n* äö\n", Holds::kWhole},
      {list, "- \n", Holds::kNot},
      {list, "* a\n", Holds::kNot},
      {list, "- a", Holds::kBeginning},
      {"root ::= \"a\"* b\nb ::= \"b\" root \"b\" | \"\"", "aabab", Holds::kWhole},
      {"root ::= \"a\"* b\nb ::= \"b\" root \"b\" | \"\"", "aabb b", Holds::kNot},
      {"root ::= \"\\\"\" [^\"\\\\]* \"\\\"\"", "\"hello\"", Holds::kWhole},
      {"root ::= ((\"a\"?)*)+ .", "aa", Holds::kWhole},
      {"root ::= (\"x\" | \"y\" \"z\"){3}", "xyzx", Holds::kWhole},
      {"root ::= (\"x\" | \"y\" \"z\"){3}", "xyzxx", Holds::kNot},
      {"root ::= [\\]\\-^a]+", "]-^a", Holds::kWhole},
  };
  for (const Case& one : cases)
    EXPECT_EQ(judge(TextGrammar::from_gbnf(one.grammar), one.text), one.holds) << one.grammar << "\n"
                                                                               << one.text;
}

TEST(TextGrammar, FollowsRegexesAndChoices) {
  const Case cases[] = {
      {"[0-9]{3}-[a-z]+", "123-ab", Holds::kWhole},
      {"^[0-9]{3}-[a-z]+$", "123-ab", Holds::kWhole},
      {"[0-9]{3}-[a-z]+", "123-", Holds::kBeginning},
      {"[0-9]{3}-[a-z]+", "x123-ab", Holds::kNot},
      {"yes|no", "no", Holds::kWhole},
      {"yes|no", "yesno", Holds::kNot},
      {"(?:ä|ö)+\\d?", "äö7", Holds::kWhole},
      {"cost: \\$", "cost: $", Holds::kWhole},
      {"^yes|no$", "no", Holds::kWhole},
      {"^yes|no$", "yesno", Holds::kNot},
      {"", "", Holds::kWhole},
      {"^C:\\\\$", "C:\\", Holds::kWhole},
  };
  for (const Case& one : cases)
    EXPECT_EQ(judge(TextGrammar::from_regex(one.grammar), one.text), one.holds)
        << one.grammar << " " << one.text;
  const std::vector<std::string> words = {"red", "redder", "blue"};
  const auto choice = TextGrammar::from_choices(words);
  EXPECT_EQ(judge(choice, "red"), Holds::kWhole);
  EXPECT_EQ(judge(choice, "redd"), Holds::kBeginning);
  EXPECT_EQ(judge(choice, "bled"), Holds::kNot);
}

TEST(TextGrammar, RefusesWithLineAndReason) {
  const struct {
    const char* grammar;
    const char* says;
  } cases[] = {
      {"", "no rule 'root'"},
      {"a ::= \"x\"", "no rule 'root'"},
      {"root ::= b", "rule 'b' is not defined"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2: rule 'root' is defined twice"},
      {"root ::= root \"a\" | \"b\"", "begins with itself"},
      {"root ::= e root2\nroot2 ::= e root \"a\" | \"b\"\ne ::= \"\"", "begins with itself"},
      {"root ::= \"a\" root", "never ends"},
      {"root ::= \"a", "a literal is not closed"},
      {"root ::= [a", "a class is not closed"},
      {"root ::= (\"a\"", "a group is not closed"},
      {"root ::= [b-a]", "a range that cannot be"},
      {"root ::= \"a\"{3,2}", "a repeat count that cannot be"},
      {"root ::= \"a\"{99999}", "missing or too large"},
      {"root ::= \"\\uD800\"", "names no code point"},
      {"root ::= \"\\x4", "cut short"},
      {"root ::= ?", "unexpected character '?'"},
      {"\n\n::= x", "line 3"},
  };
  for (const auto& one : cases) {
    try {
      TextGrammar::from_gbnf(one.grammar);
      ADD_FAILURE() << one.grammar;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(one.says), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(TextGrammar::from_gbnf("root ::= " + std::string(5000, '(')), InputError);
  EXPECT_THROW(TextGrammar::from_gbnf("root ::= ((\"a\"{1000}){1000}){1000}"), InputError);
  EXPECT_THROW(TextGrammar::from_regex("a(?=b)"), InputError);
  try {
    TextGrammar::from_regex("a)b");
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("at character 2"), std::string::npos) << error.what();
  }
}

TEST(TextGrammar, EqualKeysMeanEqualContinuations) {
  const auto grammar = TextGrammar::from_gbnf("root ::= \"(\" root \")\" | [a-c]+");
  const auto key = [&](std::string_view text) {
    PrefixMatcher matcher(grammar);
    EXPECT_EQ(matcher.accept(text), text.size());
    return matcher.key(8);
  };
  EXPECT_EQ(key("((a"), key("((cc"));
  EXPECT_NE(key("((a"), key("(a"));
  EXPECT_NE(key("((a"), key("((a)"));
}

TEST(TextGrammar, RepeatsAtItsEndWithoutEnd) {
  for (const char* grammar : {"root ::= line | line root\nline ::= [a-z]+ \"\\n\"",
                              "root ::= line (root | \"\")\nline ::= [a-z]+ \"\\n\"",
                              "root ::= line rest\nrest ::= root | \"\"\nline ::= [a-z]+ \"\\n\""}) {
    PrefixMatcher matcher(TextGrammar::from_gbnf(grammar));
    for (int i = 0; i < 5'000; ++i) ASSERT_EQ(matcher.accept("ab\n"), 3U) << grammar << ", line " << i;
    EXPECT_TRUE(matcher.complete());
    EXPECT_FALSE(matcher.finished());
    EXPECT_LT(matcher.key(8).size(), 200U) << "depth costs every token";
  }
}

TEST(TextGrammar, EndsWhereNothingMayFollow) {
  PrefixMatcher matcher(TextGrammar::from_gbnf("root ::= \"a\" \"b\"?"));
  EXPECT_FALSE(matcher.complete());
  EXPECT_TRUE(matcher.accept('a'));
  EXPECT_TRUE(matcher.complete());
  EXPECT_FALSE(matcher.finished());
  EXPECT_FALSE(matcher.accept('c'));
  EXPECT_TRUE(matcher.accept('b'));
  EXPECT_TRUE(matcher.finished());
}

TEST(TextGrammar, EveryOneOfManyAlternativesCanBeWritten) {
  std::vector<std::string> choices = {"w"};
  for (int i = 0; i < 900; ++i) choices.push_back("w" + std::to_string(i));
  std::string gbnf = "root ::= ";
  std::string regex;
  for (const std::string& choice : choices) {
    gbnf += (choice == "w" ? "\"" : " | \"") + choice + '"';
    regex += (regex.empty() ? "" : "|") + choice;
  }
  for (const auto& grammar :
       {TextGrammar::from_choices(choices), TextGrammar::from_gbnf(gbnf), TextGrammar::from_regex(regex)}) {
    for (const std::string& choice : choices) {
      PrefixMatcher matcher(grammar);
      ASSERT_EQ(matcher.accept(choice), choice.size()) << choice;
      ASSERT_TRUE(matcher.complete()) << choice;
    }
  }
}

TEST(TextGrammar, MoreBeginningsThanAreFollowedAreRefused) {
  std::string gbnf = "root ::= \"x\" [a-z]";
  for (int i = 0; i < 300; ++i) gbnf += " | \"w" + std::to_string(i) + "\" [a-z]";
  EXPECT_THROW(TextGrammar::from_gbnf(gbnf), InputError);
}

TEST(TextGrammar, AmbiguityStaysBounded) {
  PrefixMatcher matcher(TextGrammar::from_gbnf("root ::= s\ns ::= (\"a\" | \"a\" \"a\" | [a-c])+"));
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(matcher.accept('a')) << i;
  EXPECT_TRUE(matcher.complete());
  EXPECT_LT(matcher.key(8).size(), 1000U);
}

}  // namespace
}  // namespace stepdown::schema
