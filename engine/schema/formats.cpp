#include "engine/schema/formats.h"

#include <algorithm>
#include <array>

namespace stepdown::schema {
namespace {

// RFC 3339 but for leap seconds.
#define STEPDOWN_LONG R"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01]))"
#define STEPDOWN_SHORT R"((0[469]|11)-(0[1-9]|[12]\d|30))"
#define STEPDOWN_FEBRUARY R"(02-(0[1-9]|1\d|2[0-8]))"
#define STEPDOWN_LEAP_YEAR R"((\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00))"
#define STEPDOWN_DATE \
  R"((\d{4}-()" STEPDOWN_LONG "|" STEPDOWN_SHORT "|" STEPDOWN_FEBRUARY ")|" STEPDOWN_LEAP_YEAR "-02-29)"
#define STEPDOWN_TIME R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))"
// RFC 3339, appendix A: a part is followed by the next smaller one alone.
#define STEPDOWN_HOURS R"((\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S))"
#define STEPDOWN_DAYS R"((\d+Y(\d+M(\d+D)?)?|\d+M(\d+D)?|\d+D))"
// RFC 1123. Of four labels of at most 61 letters the whole is never too long.
#define STEPDOWN_LABEL R"([0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?)"
#define STEPDOWN_HOST STEPDOWN_LABEL R"((\.)" STEPDOWN_LABEL ")*"
#define STEPDOWN_SHORT_LABEL R"([0-9A-Za-z](-?[0-9A-Za-z]){0,30})"
#define STEPDOWN_SHORT_HOST(rest) STEPDOWN_SHORT_LABEL R"((\.)" STEPDOWN_SHORT_LABEL ")" rest
// RFC 5321, its dot-strings.
#define STEPDOWN_ATOM R"([0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+)"
// RFC 2673 and RFC 4291.
#define STEPDOWN_BYTE R"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))"
#define STEPDOWN_IPV4 STEPDOWN_BYTE R"((\.)" STEPDOWN_BYTE "){3}"
#define STEPDOWN_H "[0-9A-Fa-f]{1,4}"
#define STEPDOWN_GROUPS(count) "(" STEPDOWN_H ":){" count "}"
#define STEPDOWN_TAIL(count) "(:" STEPDOWN_H "){" count "}"

constexpr auto kFormats = std::to_array<Format>({
    {"date", "^" STEPDOWN_DATE "$", ""},
    {"time", "^" STEPDOWN_TIME "$", ""},
    {"date-time", "^" STEPDOWN_DATE "T" STEPDOWN_TIME "$", ""},
    {"duration", R"(^P(\d+W|)" STEPDOWN_DAYS "(T" STEPDOWN_HOURS ")?|T" STEPDOWN_HOURS ")$", ""},
    {"uuid", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", ""},
    {"hostname", "^" STEPDOWN_HOST "$", "^" STEPDOWN_SHORT_HOST("{0,3}") "$"},
    {"email", "^" STEPDOWN_ATOM R"((\.)" STEPDOWN_ATOM ")*@" STEPDOWN_HOST "$",
     R"(^[0-9A-Za-z_%+-]{1,30}(\.[0-9A-Za-z_%+-]{1,30})?@)" STEPDOWN_SHORT_HOST("{1,3}") "$"},
    {"ipv4", "^" STEPDOWN_IPV4 "$", ""},
    {"ipv6",
     "^(" STEPDOWN_GROUPS("7") "(" STEPDOWN_H "|:)|" STEPDOWN_GROUPS(
         "6") "(:" STEPDOWN_H "|" STEPDOWN_IPV4
              "|:)|" STEPDOWN_GROUPS("5") "(" STEPDOWN_TAIL(
                  "1,2") "|:" STEPDOWN_IPV4
                         "|:)|" STEPDOWN_GROUPS("4") "(" STEPDOWN_TAIL("1,3") "|" STEPDOWN_TAIL(
                             "0,1") ":" STEPDOWN_IPV4
                                    "|:)|" STEPDOWN_GROUPS("3") "(" STEPDOWN_TAIL("1,4") "|" STEPDOWN_TAIL(
                                        "0,2") ":" STEPDOWN_IPV4
                                               "|:)|" STEPDOWN_GROUPS("2") "(" STEPDOWN_TAIL("1,5") "|" STEPDOWN_TAIL(
                                                   "0,3") ":" STEPDOWN_IPV4
                                                          "|:)|" STEPDOWN_GROUPS("1") "(" STEPDOWN_TAIL("1,6") "|" STEPDOWN_TAIL(
                                                              "0,4") ":" STEPDOWN_IPV4 "|:)|"
                                                                     ":(" STEPDOWN_TAIL("1,7") "|" STEPDOWN_TAIL(
                                                                         "0,5") ":" STEPDOWN_IPV4 "|:))$",
     ""},
});

}  // namespace

const Format* find_format(std::string_view name) {
  const auto* found = std::ranges::find(kFormats, name, &Format::name);
  return found == kFormats.end() ? nullptr : found;
}

}  // namespace stepdown::schema
