#include "operator/compat/rules_page.h"

#include "operator/compat/rule.h"

namespace stepdown::compat {

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
    page += "| [" + id + "](#" + id + ") | " + std::string(severity_name(rule->severity)) + " | " + title +
            " |\n";
    details += "\n## <a id=\"" + id + "\"></a>" + id + ": " + title + "\n\n" + std::string(rule->why) +
               "\n\n```yaml\n" + std::string(rule->example) + "\n```\n\nMend: " + std::string(rule->mend) +
               ".\n";
  }
  return page + details;
}

}  // namespace stepdown::compat
