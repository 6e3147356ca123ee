#include "engine/quant/quantize_command.h"

#include <chrono>
#include <csignal>
#include <sstream>

#include "tests/unit/engine/base/run_command.h"
#include "tests/unit/engine/quant/quantizable_folder.h"
#include "tests/unit/engine/quant/random_model.h"
#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file_error.h"
#include "engine/base/hash.h"
#include "engine/base/system_facts.h"
#include "engine/formats/model_file.h"
#include "engine/quant/method.h"
#include "engine/quant/quantize_options.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using formats::TempFolder;
using formats::write_file;
using Arguments = std::vector<std::string>;

int run(Arguments arguments) {
  return run_command(quantize_command(), std::move(arguments));
}

/// Starts the command in a child process, its output dropped.
pid_t start(const Arguments& arguments) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const int null = ::open("/dev/null", O_WRONLY);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(null, STDERR_FILENO);
  try {
    ::_exit(run(arguments));
  } catch (const std::exception&) {
    ::_exit(kFailed);
  }
}

int status_of(pid_t child) {
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(QuantizeCommand, StoresTheArtifactUnderItsDigestAndReportsIt) {
  QuantizableFolder hf;
  hf.write();
  const TempFolder out;
  const std::string model = hf.folder.path();
  const std::string artifacts = out / "artifacts";
  const Arguments arguments = {"--model",           model,      "--artifacts", artifacts,
                               "--preset",          "Q8_0",     "--report",    out / "reports/quant.json",
                               "--termination-log", out / "log"};
  ASSERT_EQ(run(arguments), kDone);
  const nlohmann::json report = nlohmann::json::parse(read_file(out / "reports/quant.json"));
  const std::string digest = report["digest"].get<std::string>().substr(7);
  const fs::path folder = fs::path(artifacts) / digest;
  EXPECT_EQ(report["path"], (folder / "model.gguf").string());
  EXPECT_EQ(artifact_digest(folder), digest);
  EXPECT_EQ(report["size"], fs::file_size(folder / "model.gguf"));
  EXPECT_EQ(report["base"], "sha256:" + artifact_digest(model));
  EXPECT_EQ(report["preset"], "Q8_0");
  EXPECT_EQ(report["bits"], 8);
  EXPECT_GT(report["peakMemoryBytes"], 0);
  EXPECT_EQ(nlohmann::json::parse(read_file(out / "log"))["digest"], report["digest"]);
  ASSERT_EQ(run(arguments), kDone) << "a second run finds its result there";
  EXPECT_EQ(std::distance(fs::directory_iterator(artifacts), fs::directory_iterator()), 1);
}

TEST(QuantizeCommand, RefusesAnOptionThatTheMethodWouldNotRead) {
  QuantizableFolder hf;
  hf.write();
  const TempFolder out;
  const auto refusal = [&](Arguments arguments) {
    arguments.insert(arguments.end(), {"--model", hf.folder.path(), "--out", out / "out"});
    try {
      run(arguments);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_NE(refusal({"--method", "int8", "--damping", "0.1"}).find("--damping: method int8 does not read it"),
            std::string::npos);
  EXPECT_NE(refusal({"--method", "int4", "--imatrix", "x"}).find("--imatrix: method int4"),
            std::string::npos);
  EXPECT_NE(refusal({"--method", "gptq", "--no-clip"}).find("--no-clip: method gptq"), std::string::npos);
  EXPECT_NE(refusal({"--preset", "tq1_0"}).find("only models trained so keep their sense"),
            std::string::npos);
  EXPECT_NE(refusal({"--method", "ternary"}).find("only models trained so keep their sense"),
            std::string::npos);
  EXPECT_NE(refusal({"--preset", "Q8_0", "--imatrix-out", "x"}).find("--imatrix-out"), std::string::npos);
  EXPECT_NE(refusal({"--method", "gguf", "--steps", "3"}).find("the method reads --preset"),
            std::string::npos);
  EXPECT_EQ(refusal({"--method", "int8", "--asymmetric", "--no-clip", "--granularity", "channel"}), "none");
}

TEST(QuantizeCommand, AsymmetricCodesHaveNoPlaceInTheFirstVersionOfGptqsLayout) {
  const RandomModel model;
  const TempFolder out;
  Arguments arguments = {"--model",     model.folder.path(), "--out",         out / "q",      "--method",
                         "gptq",        "--calibration",     model.prompts(), "--group-size", "32",
                         "--asymmetric"};
  auto version1 = arguments;
  version1.insert(version1.end(), {"--checkpoint-format", "gptq"});
  EXPECT_THROW(run(version1), InputError);
  EXPECT_TRUE(fs::is_empty(out.path())) << "nothing is kept of what cannot be";
  ASSERT_EQ(run(arguments), kDone);
  EXPECT_NE(read_file(out / "q" / "config.json").find("gptq_v2"), std::string::npos);
}

TEST(QuantizeCommand, EveryOptionOfMethodsIsReadByOne) {
  CLI::App app;
  QuantizeOptions options;
  add_options(app, options);
  std::string read;
  for (const Method& method : methods()) read += " " + std::string(method.options) + " ";
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group() != "Methods") continue;
    EXPECT_NE(read.find(" " + option->get_name() + " "), std::string::npos) << option->get_name();
  }
  std::istringstream names(read);
  for (std::string name; names >> name;) EXPECT_NE(app.get_option_no_throw(name), nullptr) << name;
}

#ifndef __SANITIZE_ADDRESS__  // which keeps what is freed
// One matrix of 48 MiB after the other: large enough to tell one in memory from two.
TEST(QuantizeCommand, PredictsTheMemoryOfOneTensorAtATime) {
  constexpr std::int64_t kHidden = 2048;
  constexpr std::int64_t kWide = 12288;
  RandomModel model;
  model.config["hidden_size"] = kHidden;
  model.config["intermediate_size"] = kWide;
  model.config["num_hidden_layers"] = 1;
  model.tensors.clear();
  model.fill("model.embed_tokens.weight", {6, kHidden}, 1.0f);
  model.fill("model.norm.weight", {kHidden}, 0.0f);
  const std::string layer = "model.layers.0.";
  model.fill(layer + "input_layernorm.weight", {kHidden}, 0.0f);
  model.fill(layer + "post_attention_layernorm.weight", {kHidden}, 0.0f);
  model.fill(layer + "self_attn.q_proj.weight", {64, kHidden}, 0.1f);
  model.fill(layer + "self_attn.k_proj.weight", {32, kHidden}, 0.1f);
  model.fill(layer + "self_attn.v_proj.weight", {32, kHidden}, 0.1f);
  model.fill(layer + "self_attn.o_proj.weight", {kHidden, 64}, 0.1f);
  const std::string zeros(static_cast<std::size_t>(kHidden * kWide * 2), '\0');
  model.tensors[layer + "mlp.gate_proj.weight"] = {"F16", {kWide, kHidden}, zeros};
  model.tensors[layer + "mlp.up_proj.weight"] = {"F16", {kWide, kHidden}, zeros};
  model.tensors[layer + "mlp.down_proj.weight"] = {"F16", {kHidden, kWide}, zeros};
  model.write();
  model.tensors.clear();
  const TempFolder out;
  reset_peak_memory();
  ASSERT_EQ(run({"--model", model.folder.path(), "--out", out / "q.gguf", "--preset", "Q4_0", "--report",
                 out / "report.json"}),
            kDone);
  const auto report = nlohmann::json::parse(read_file(out / "report.json"));
  EXPECT_NEAR(report["predictedMemoryBytes"].get<double>(), report["peakMemoryBytes"].get<double>(),
              32 << 20);
}
#endif

TEST(QuantizeCommand, RefusesUnsupportedRequests) {
  QuantizableFolder hf;
  hf.write();
  const TempFolder out;
  const Arguments base = {"--model", hf.folder.path(), "--out", out / "q.gguf"};
  const auto with = [&](const Arguments& more) {
    Arguments all = base;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  EXPECT_THROW(run(with({})), InputError) << "no preset";
  EXPECT_THROW(run(with({"--method", "exl2"})), InputError);
  EXPECT_THROW(run(with({"--method", "tq1_0"})), InputError) << "ternary by rounding";
  EXPECT_THROW(run({"--model", hf.folder.path(), "--out", out / "hf", "--method", "awq"}), InputError)
      << "no calibration data";
  EXPECT_THROW(run(with({"--preset", "Q8_0", "--adapter", "lora"})), InputError);
  EXPECT_THROW(run(with({"--preset", "Q8_0", "--artifacts", out / "a"})), InputError);
  for (const char* size : {"7", "0", "-5", "many"})
    EXPECT_THROW(run(with({"--method", "int4", "--group-size", size})), CLI::ValidationError) << size;
  EXPECT_THROW(run(with({"--preset", "Q8_0", "--samples", "0"})), CLI::ValidationError);
  EXPECT_TRUE(fs::is_empty(out.path()));
}

TEST(QuantizeCommand, NeverWritesIntoItsOwnSource) {
  QuantizableFolder hf;
  hf.write();
  const std::string model = hf.folder.path();
  const std::string digest = artifact_digest(model);
  for (const std::string& out : {model, model + "/other.gguf"}) {
    EXPECT_THROW(run({"--model", model, "--out", out, "--preset", "Q8_0"}), InputError) << out;
  }
  EXPECT_EQ(artifact_digest(model), digest);
}

TEST(QuantizeCommand, KilledAtAnyMomentLeavesNothingHalfWritten) {
  QuantizableFolder hf;
  hf.write();
  const TempFolder out;
  const TempFolder undisturbed;
  const Arguments arguments = {"--model", hf.folder.path(), "--artifacts", out.path(), "--preset", "Q4_0"};
  ASSERT_EQ(run(arguments), kDone);
  const fs::path whole = fs::directory_iterator(out.path())->path();
  fs::rename(whole, undisturbed / "result");
  for (int microseconds = 0; microseconds < 20000; microseconds += 1000) {
    const pid_t child = start(arguments);
    ::usleep(static_cast<useconds_t>(microseconds));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (const auto& entry : fs::directory_iterator(out.path())) {
      const std::string name = entry.path().filename();
      if (!name.starts_with(".")) {
        EXPECT_EQ(artifact_digest(entry.path()), name);
      }
    }
  }
  int status = -1;
  ::waitpid(start(arguments), &status, 0);
  EXPECT_EQ(status, 0);
  ASSERT_EQ(std::distance(fs::directory_iterator(out.path()), fs::directory_iterator()), 1)
      << "leftovers are cleaned";
  const fs::path folder = fs::directory_iterator(out.path())->path();
  EXPECT_EQ(folder.filename(), whole.filename());
  EXPECT_EQ(artifact_digest(folder), folder.filename());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1) << "model.gguf alone";
}

/// What lies in the folder of the piece of work under way, or of a killed one; empty: there is none.
fs::path partial_in(const fs::path& parent) {
  for (const auto& entry : fs::directory_iterator(parent)) {
    if (entry.path().filename().string().starts_with(".partial-")) return entry.path();
  }
  return {};
}

// A large file beside the weights takes seconds to hash, which the work does not need.
TEST(QuantizeCommand, TheWorkBeginsBeforeTheBaseIsHashed) {
  using Clock = std::chrono::steady_clock;
  QuantizableFolder hf;
  hf.write();
  write_file(hf.folder / "notes.bin", "");
  fs::resize_file(hf.folder / "notes.bin", std::uint64_t{3} << 30);
  auto began = Clock::now();
  artifact_digest(hf.folder.path(), FileAccess::kMapped);
  const auto hashing = Clock::now() - began;
  const TempFolder out;
  began = Clock::now();
  const pid_t child = start({"--model", hf.folder.path(), "--artifacts", out.path(), "--preset", "Q4_0"});
  while (partial_in(out.path()).empty() && Clock::now() - began < 10 * hashing) ::usleep(1000);
  EXPECT_LT(Clock::now() - began, hashing / 2);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST(QuantizeCommand, GoesOnWithWhatWasMadeFromTheSameBaseAlone) {
  QuantizableFolder hf;
  hf.write();
  const std::string base = artifact_digest(hf.folder.path());
  const TempFolder out;
  const Arguments arguments = {"--model", hf.folder.path(), "--artifacts", out.path(), "--method", "int8"};
  const pid_t child = start(arguments);
  while (partial_in(out.path()).empty()) ::usleep(100);
  const fs::path partial = partial_in(out.path());
  int status = 0;
  ::waitpid(child, &status, 0);
  const std::vector<std::pair<std::string, bool>> cases = {
      {base, true}, {std::string(64, 'f'), false}, {base.substr(0, 63), false}, {"", false}};
  for (const auto& [told, goes_on] : cases) {
    fs::create_directories(partial);
    write_file(partial / ".base", told);
    write_file(partial / "begun", "");
    ASSERT_EQ(run(arguments), kDone);
    bool found = false;
    for (const auto& entry : fs::directory_iterator(out.path())) {
      found = found || fs::exists(entry.path() / "begun");
      EXPECT_FALSE(fs::exists(entry.path() / ".base"));
      fs::remove_all(entry.path());
    }
    EXPECT_EQ(found, goes_on) << told;
  }
}

TEST(QuantizeCommand, ReportsThatCannotBeWrittenAreToldBeforeTheWork) {
  QuantizableFolder hf;
  hf.write();
  const TempFolder out;
  write_file(out / "file", "");
  fs::create_directory(out / "folder");
  const Arguments arguments = {"--model", hf.folder.path(), "--out", out / "q.gguf", "--preset", "Q8_0"};
  for (const std::string option : {"--report", "--imatrix-out"}) {
    for (const char* place : {"folder", "file/below", "file/far/below"}) {
      Arguments all = arguments;
      all.insert(all.end(), {option, out / place});
      try {
        run(all);
        ADD_FAILURE() << option << " " << place;
      } catch (const InputError& error) {
        EXPECT_TRUE(std::string(error.what()).starts_with(option + " ")) << error.what();
      }
      EXPECT_FALSE(fs::exists(out / "q.gguf"));
    }
  }
}

TEST(QuantizeCommand, NamesMayHoldAnyByte) {
  QuantizableFolder hf;
  hf.write();
  const TempFolder out;
  const std::string name = out / "q\xff.gguf";
  ASSERT_EQ(
      run({"--model", hf.folder.path(), "--out", name, "--preset", "Q8_0", "--report", out / "new/r.json"}),
      kDone);
  EXPECT_TRUE(fs::exists(name));
  EXPECT_EQ(nlohmann::json::parse(read_file(out / "new/r.json"))["path"], (out / "q\ufffd.gguf").string());
}

// On a full volume each try would end where this one did, and what is kept is what fills it.
TEST(QuantizeCommand, KeepsForAnotherTryWhatAFailedRunLeftButNotOnAFullVolume) {
  QuantizableFolder hf;
  hf.write();
  const TempFolder out;
  const Arguments arguments = {"--model", hf.folder.path(), "--artifacts", out.path(), "--preset", "Q8_0"};
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4096, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const int status = status_of(start(arguments));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(status, kFailed);
  const fs::path partial = partial_in(out.path());
  ASSERT_TRUE(fs::exists(partial / "model.gguf")) << "a limit of files' sizes may be raised";
  fs::remove(partial / "model.gguf");
  fs::create_symlink("/dev/full", partial / "model.gguf");
  try {
    run(arguments);
    FAIL() << "the device is full";
  } catch (const DiskFull& error) {
    EXPECT_NE(std::string(error.what()).find("free some space"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(fs::is_empty(out.path()));
}

TEST(QuantizeCommand, OfAFailedRunNoFolderThatItMadeIsLeft) {
  RandomModel model;
  const TempFolder out;
  for (const char* name : {"q", "a/b/c", "q.gguf"}) {
    EXPECT_THROW(
        run({"--model", model.folder.path(), "--out", out / name, "--preset", "Q4_K_M", "--bits", "8"}),
        InputError);
    EXPECT_TRUE(fs::is_empty(out.path())) << name;
  }
  fs::create_directory(out / "mine");
  EXPECT_THROW(
      run({"--model", model.folder.path(), "--out", out / "mine", "--preset", "Q4_K_M", "--bits", "8"}),
      InputError);
  EXPECT_TRUE(fs::is_directory(out / "mine")) << "which was there before";
}

}  // namespace
}  // namespace stepdown::quant
