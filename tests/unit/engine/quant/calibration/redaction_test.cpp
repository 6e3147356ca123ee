#include "engine/quant/calibration/redaction.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

std::string redacted(std::string_view text) {
  const std::vector<std::string> kinds = {"email", "phone", "iban", "card", "name"};
  std::map<std::string, int> counts;
  return Redactor(kinds, {"Ada Lovelace", "Jürgen", "Ada"}).redact(text, counts);
}

TEST(Redaction, ReplacesPersonalData) {
  struct Case {
    const char* text;
    const char* result;
  };
  for (const Case& each : {
           Case{"Write to ada.l+x@mail.example.org.", "Write to [email]."},
           Case{"<a@b.io>", "<[email]>"},
           Case{"a@b.io.c@d.org", "[email][email]"},
           Case{"Call +49 170 1234567 now", "Call [phone] now"},
           Case{"Tel. (030) 901820-00", "Tel. [phone]"},
           Case{"0171/2345678", "[phone]"},
           Case{"555-123-4567", "[phone]"},
           Case{"pay DE89 3704 0044 0532 0130 00 today", "pay [iban] today"},
           Case{"GB82WEST12345698765432,", "[iban],"},
           Case{"card 4111 1111 1111 1111!", "card [card]!"},
           Case{"4111-1111-1111-1111", "[card]"},
           Case{"ADA LOVELACE and jürgen met Ada.", "[name] and [name] met [name]."},
       }) {
    EXPECT_EQ(redacted(each.text), each.result);
  }
}

TEST(Redaction, LeavesOtherTextAlone) {
  for (const char* text :
       {"", "user@localhost", "12:30, 2026-11-23", "unit FL-654 at Pier 87", "v1.2.3", "4111 1111 1111 1112",
        "Adamant Canada", "order 1234567", "sha 0123456789abcdef", "3.14159265358979", "@", "+", "(", "00"}) {
    EXPECT_EQ(redacted(text), text);
  }
}

TEST(Redaction, DatesWithTimesAndDecimalsAreNoTelephones) {
  for (const char* text :
       {"2026-11-30 12:15:00 INFO", "2026/11/30 12:15", "30.11.2026 12:15", "01/02/2026 12:15",
        "[2026-11-30 12]", "loss 0.0012345678", "0.25 0.125 0.5", "pi is 3.141592653"}) {
    EXPECT_EQ(redacted(text), text);
  }
  EXPECT_EQ(redacted("2026-11-30 0171 2345678"), "2026-11-30 [phone]");
  for (const char* phone :
       {"01.23.45.67.89", "555.123.4567", "0171.2345678", "01-02-2026-12", "20-30-202612", "99.99.999999"})
    EXPECT_EQ(redacted(phone), "[phone]");
}

// Such as answers that are documents, and logs of logs.
TEST(Redaction, SeesWordsBehindTheMarksOfJsonInAText) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"note": "call\nAda"})", R"({"note": "call\n[name]"})"},
      {R"(\tAda \\nAda \r\nAda)", R"(\t[name] \\n[name] \r\n[name])"},
      {R"(on\n+49 170 1234567\n4111 1111 1111 1111)", R"(on\n[phone]\n[card])"},
      {R"(\nDE89370400440532013000)", R"(\n[iban])"},
      {R"(\u00a0Ada)", R"(\u00a0[name])"},
      {R"(C:\nada\Ada)", R"(C:\n[name]\[name])"},
  };
  for (const auto& [text, result] : cases) EXPECT_EQ(redacted(text), result);
  for (const char* text : {R"(\nAdamant)", R"(\u00aAda)", R"(nAda)", R"(\)", R"(\u)"})
    EXPECT_EQ(redacted(text), text);
  EXPECT_EQ(redacted(R"(DOMAIN\bob@b.io)"), R"(DOMAIN\[email])") << "a word may begin with a mark's letter";
}

TEST(Redaction, CountsWhatItReplacedAndRefusesWhatItDoesNotKnow) {
  std::map<std::string, int> counts;
  const std::vector<std::string> email = {"email"};
  Redactor(email, {}).redact("a@b.io c@d.io +49 170 1234567", counts);
  EXPECT_EQ(counts, (std::map<std::string, int>{{"email", 2}}));
  EXPECT_THROW(Redactor(std::vector<std::string>{"address"}, {}), InputError);
  EXPECT_THROW(Redactor(std::vector<std::string>{"name"}, {}), InputError) << "without a list";
}

TEST(Redaction, IsLinearInTheTextsLength) {
  std::string text(1 << 20, 'a');
  EXPECT_EQ(redacted(text), text);
  text.assign(1 << 20, '1');
  EXPECT_EQ(redacted(text), text);
}

}  // namespace
}  // namespace stepdown::quant
