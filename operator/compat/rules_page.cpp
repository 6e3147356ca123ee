#include "operator/compat/rules_page.h"

#include "operator/compat/field_guide.h"
#include "operator/compat/rule.h"

namespace stepdown::compat {
namespace {

std::string link(std::string_view id) {
  return "[" + std::string(id) + "](#" + std::string(id) + ")";
}

std::string section(const char* title, std::span<const Concern> concerns) {
  std::string out = "\n## " + std::string(title) + "\n\n| | rules |\n|---|---|\n";
  for (const Concern& concern : concerns) {
    std::string ids;
    for (const std::string_view id : concern.rules) {
      if (!id.empty()) ids += (ids.empty() ? "" : ", ") + link(id);
    }
    out += "| " + std::string(concern.name) + " | " + ids + " |\n";
  }
  return out;
}

}  // namespace

std::string rules_page() {
  std::string page =
      "# Rules\n\n"
      "The webhook, the operator and `kubectl stepdown validate` judge by the same rules. An error stops the "
      "work "
      "before anything is started; a warning and a note do not. Ids keep their meaning for good.\n\n"
      "This page is printed by `kubectl stepdown rules`.\n\n"
      "| id | severity | what |\n|---|---|---|\n";
  std::string details;
  for (const Rule* rule : rule_table()) {
    const std::string id(rule->id), title(rule->title);
    page.append("| ").append(link(id)).append(" | ").append(severity_name(rule->severity));
    page.append(" | ").append(title).append(" |\n");
    details.append("\n## <a id=\"").append(id).append("\"></a>").append(id).append(": ").append(title);
    details.append("\n\n").append(rule->why).append("\n\n```yaml\n").append(rule->example);
    details.append("\n```\n\nMend: ").append(rule->mend).append(".\n");
  }
  return page + section("Pitfalls", pitfalls()) + section("Before production", checklist()) + details;
}

}  // namespace stepdown::compat
