#include <nlohmann/json.hpp>

#include "engine/fetch/remote.h"
#include "engine/fetch/sources/hub_tree.h"

/// The Hugging Face Hub, and mirrors of it (HF_ENDPOINT).
namespace stepdown::fetch {
namespace {

constexpr std::size_t kLongestAnswer = 32 << 20;
constexpr int kMostPages = 50;

class HuggingFaceHub final : public Remote {
 public:
  HuggingFaceHub(const Source& source, const Tools& tools)
      : source_(source), tools_(tools), name_(parse_hub_name(source.path, source.text)) {
    std::string endpoint = source.option("endpoint");
    if (endpoint.empty()) endpoint = tools.credentials.value("HF_ENDPOINT");
    if (endpoint.empty()) endpoint = "https://huggingface.co";
    root_ = url_of(endpoint, source.text);
    while (root_.target.ends_with('/')) root_.target.pop_back();
    token_ = tools.credentials.value("HF_TOKEN");
    if (token_.empty()) token_ = tools.credentials.file("token");
    if (token_.find_first_of("\r\n") != std::string::npos)
      throw InputError("HF_TOKEN is no token", source.text);
  }

  Listing list(const std::string& revision) override {
    const std::string asked = !revision.empty() ? revision : name_.revision.empty() ? "main" : name_.revision;
    commit_ = commit_of(asked);
    Listing out{.resolved = resolved(), .revision = commit_};
    const std::string what = "revision " + asked;
    Url next = at(api() + "/tree/" + commit_ + "?recursive=true");
    for (int page = 0; page < kMostPages; ++page) {
      const HttpAnswer answer = ask(next);
      if (answer.status != 200) refuse(answer, what);
      for (RemoteFile& file : read_hub_tree(answer.body, source_.text)) out.files.push_back(std::move(file));
      const std::string link = next_link(answer.header("link"));
      if (link.empty()) {
        choose(out.files);
        return out;
      }
      const auto follows = resolve(answer.url, link);
      if (!follows || !follows->same_origin(root_))
        throw InputError("the next page lies elsewhere: " + link, source_.text);
      next = *follows;
    }
    throw InputError("more than " + std::to_string(kMostPages) + " pages of files", source_.text);
  }

  HttpRequest request(const RemoteFile& file) override {
    return with_token(at((name_.dataset ? "/datasets/" : "/") + name_.repository + "/resolve/" + commit_ +
                         "/" + percent_encode(file.location, /*keep_slashes=*/true)));
  }

  bool renew(const HttpAnswer& /*refused*/) override { return false; }

  [[noreturn]] void refuse(const HttpAnswer& answer, const std::string& what) const override {
    const std::string code = answer.header("x-error-code");
    const std::string status =
        "HTTP " + std::to_string(answer.status) + (code.empty() ? "" : ", " + code.substr(0, 60));
    const std::string repository = name_.repository;
    if (code == "GatedRepo") {
      throw InputError(repository + " is gated (" + status + ")", source_.text,
                       token_.empty()
                           ? "accept its terms on the Hub, and name a Secret with HF_TOKEN in secretRef"
                           : "accept its terms on the Hub with the account whose token this is");
    }
    if (answer.status == 401 || answer.status == 403 || code == "RepoNotFound") {
      throw InputError(
          repository + " does not exist, or this token may not read it (" + status + ")", source_.text,
          token_.empty() ? "check the name; for a private one name a Secret with HF_TOKEN in secretRef"
                         : "check the name, and that the token is valid and may read it");
    }
    if (answer.status == 404) {
      throw InputError(repository + " has no " + what + " (" + status + ")", source_.text,
                       "check revision and path");
    }
    throw Error("the Hub answers " + status + " for " + what, source_.text);
  }

 private:
  std::string api() const {
    return "/api/" + std::string(name_.dataset ? "datasets/" : "models/") + name_.repository;
  }

  Url at(const std::string& target) const {
    Url url = root_;
    url.target += target;
    return url;
  }

  HttpRequest with_token(Url url) const {
    HttpRequest out{.url = std::move(url)};
    if (!token_.empty()) out.headers["Authorization"] = "Bearer " + token_;
    return out;
  }

  HttpAnswer ask(const Url& url) const {
    return ask_patiently(
        tools_.http, tools_.retries, [&] { return with_token(url); }, kLongestAnswer);
  }

  /// Branches and tags move: what is fetched is one commit.
  std::string commit_of(const std::string& revision) const {
    const HttpAnswer answer = ask(at(api() + "/revision/" + percent_encode(revision)));
    if (answer.status != 200) refuse(answer, "revision " + revision);
    const auto body = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
    std::string commit;
    if (body.is_object()) {
      if (const auto sha = body.find("sha"); sha != body.end() && sha->is_string())
        commit = sha->get<std::string>();
    }
    if (commit.size() < 40 || commit.size() > 64 ||
        commit.find_first_not_of("0123456789abcdef") != std::string::npos) {
      throw InputError("the Hub names no commit for revision " + revision, source_.text,
                       "check the endpoint");
    }
    return commit;
  }

  std::string resolved() const {
    return std::string("hf://") + (name_.dataset ? "datasets/" : "") + name_.repository + "@" + commit_ +
           (name_.path.empty() ? "" : "/" + name_.path);
  }

  /// The path that the source names, or what a model needs.
  void choose(std::vector<RemoteFile>& files) const {
    if (!name_.path.empty()) {
      std::vector<RemoteFile> chosen;
      for (RemoteFile& file : files) {
        if (file.path == name_.path) {
          file.path = file.path.substr(file.path.rfind('/') + 1);
          chosen = {std::move(file)};
          break;
        }
        if (!file.path.starts_with(name_.path + "/")) continue;
        file.path.erase(0, name_.path.size() + 1);
        if (is_safe_path(file.path)) chosen.push_back(std::move(file));
      }
      files = std::move(chosen);
    } else if (name_.dataset) {
      std::erase_if(files, [](const RemoteFile& file) { return !is_safe_path(file.path); });
    } else {
      files = needed_of(std::move(files), source_.text);
    }
    if (files.empty()) {
      throw InputError(
          name_.repository + " has nothing " + (name_.path.empty() ? "of a model" : "at " + name_.path),
          source_.text, "check revision and path");
    }
  }

  const Source source_;
  const Tools tools_;
  const HubName name_;
  Url root_;
  std::string token_;
  std::string commit_;
};

}  // namespace

std::unique_ptr<Remote> open_hugging_face(const Source& source, const Tools& tools) {
  return std::make_unique<HuggingFaceHub>(source, tools);
}

}  // namespace stepdown::fetch
