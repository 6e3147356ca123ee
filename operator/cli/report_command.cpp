#include "operator/cli/report_command.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/api/kinds.h"
#include "operator/cli/audit_report.h"
#include "operator/cli/model_target.h"
#include "operator/cli/report_reader.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string candidate;
  std::string output;
  bool open = false;
  bool audit = false;
  int wait_seconds = 60;
};

void open_in_browser(const std::string& file) {
  std::array<char*, 3> arguments = {const_cast<char*>("xdg-open"), const_cast<char*>(file.c_str()), nullptr};
  pid_t child = 0;
  int status = 0;
  if (::posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0 ||
      ::waitpid(child, &status, 0) != child || status != 0) {
    throw Error("no browser could be started", file, "install xdg-utils, or open the file by hand");
  }
}

/// The revisions that the model led to and serves, each once, the stable one first.
std::vector<api::QuantRevision> revisions_of(const Connection& connection, const api::QuantizedModel& model) {
  std::vector<api::QuantRevision> revisions;
  for (const std::string& name : {model.status.stable_revision, model.status.current_revision}) {
    const bool told = std::ranges::any_of(
        revisions, [&](const api::QuantRevision& each) { return each.metadata.name == name; });
    if (name.empty() || name == "fp16" || told) continue;
    revisions.push_back(
        api::parse_quant_revision(get_revision(connection, name), api::UnknownFields::kIgnore));
  }
  return revisions;
}

int audit(const Connection& connection, const api::QuantizedModel& model, const Options& options) {
  const std::string text = audit_report(model, revisions_of(connection, model));
  if (options.output.empty() || options.output == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else {
    write_file_atomically(std::filesystem::absolute(options.output), text);
  }
  return kDone;
}

int report(const ClusterTarget& target, const std::string& name, const Options& options) {
  const Connection connection = target.connect();
  const json object = get_model(connection, name);
  const auto model = api::parse_quantized_model(object, api::UnknownFields::kIgnore);
  if (options.audit) return audit(connection, model, options);
  const api::CandidateStatus& row = find_row(model, options.candidate);
  const std::string html =
      read_report(connection, object, row, row.report, std::chrono::seconds(options.wait_seconds));
  if (options.output == "-") {
    std::fwrite(html.data(), 1, html.size(), stdout);
    return kDone;
  }
  std::string file = options.output;
  if (file.empty()) {
    file = name + "-" + row.name + ".html";
    std::ranges::replace(file, '/', '-');
  }
  write_file_atomically(std::filesystem::absolute(file), html);
  std::printf("%s (%s, %zu KiB)\n", file.c_str(), row.name.c_str(), html.size() / 1024);
  if (options.open) open_in_browser(file);
  return kDone;
}

}  // namespace

Command report_command() {
  return {"report", "Save or open the HTML report of an evaluation", [](CLI::App& app) {
            const auto name = add_model_name(app);
            const auto target = add_cluster_target(app);
            const auto options = std::make_shared<Options>();
            app.add_option("--candidate", options->candidate,
                           "Such as gguf/Q4_K_M, or fp16 (default: the one that was chosen)");
            app.add_option("-o,--output", options->output,
                           "File to write, - for standard output (default: NAME-CANDIDATE.html)")
                ->type_name("FILE");
            app.add_flag(
                "--audit", options->audit,
                "The record for an auditor as Markdown: what was made from what, every score, why others "
                "lost, how to make it again");
            app.add_flag("--open", options->open, "Open it in a browser");
            app.add_option("--wait", options->wait_seconds, "Seconds for the pod that reads it")
                ->capture_default_str();
            return [=] { return report(*target, *name, *options); };
          }};
}

}  // namespace stepdown::cli
