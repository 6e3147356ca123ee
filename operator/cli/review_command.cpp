#include "operator/cli/review_command.h"

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/cli/model_target.h"
#include "operator/cli/report_reader.h"
#include "operator/cli/worse_answers.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string candidate;
  std::size_t most = 10;
  int wait_seconds = 60;
};

/// The report as JSON lies beside its page.
json full_report(const Connection& connection, const json& model, const api::CandidateStatus& row,
                 const Options& options) {
  constexpr std::string_view kPage = ".html";
  std::string uri = row.report;
  if (uri.ends_with(kPage)) uri.replace(uri.size() - kPage.size(), kPage.size(), ".json");
  const std::string text =
      read_report(connection, model, row, uri, std::chrono::seconds(options.wait_seconds));
  json report = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!report.is_object()) throw Error("the report is no JSON", uri, "evaluate the candidate again");
  return report;
}

int review(const ClusterTarget& target, const std::string& name, const Options& options) {
  const Connection connection = target.connect();
  const json object = get_model(connection, name);
  const auto model = api::parse_quantized_model(object, api::UnknownFields::kIgnore);
  const api::CandidateStatus& row = find_row(model, options.candidate);
  const api::CandidateStatus& fp16 = find_row(model, "fp16");
  if (row.name == fp16.name) {
    throw InputError("FP16 is what candidates are compared with", name, "name a candidate with --candidate");
  }
  const json report = full_report(connection, object, row, options);
  const auto answers = worse_answers(full_report(connection, object, fp16, options), report);
  std::printf(
      "%s: %s", row.name.c_str(),
      print_worse_answers(answers, report.value("samples", json::array()).size(), options.most).c_str());
  return kDone;
}

}  // namespace

Command review_command() {
  return {"review", "The prompts that a candidate answers worse than FP16, side by side", [](CLI::App& app) {
            const auto name = add_model_name(app);
            const auto target = add_cluster_target(app);
            const auto options = std::make_shared<Options>();
            app.add_option("--candidate", options->candidate,
                           "Such as gguf/Q4_K_M (default: the one that was chosen)");
            app.add_option("--most", options->most, "Prompts to show")->capture_default_str();
            app.add_option("--wait", options->wait_seconds, "Seconds for each pod that reads a report")
                ->capture_default_str();
            return [=] { return review(*target, *name, *options); };
          }};
}

}  // namespace stepdown::cli
