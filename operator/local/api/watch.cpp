#include <chrono>

#include "operator/local/api/conversion.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/reader.h"
#include "operator/local/api/selector.h"

namespace stepdown::local::api {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kBatch = 100;
constexpr auto kBookmarkEvery = std::chrono::seconds(60);
constexpr std::int64_t kDefaultTimeout = 1800;

class Watch : public Stream {
 public:
  Watch(Cluster& cluster, std::shared_ptr<const Resource> resource, const Target& target,
        const Request& request)
      : cluster_(cluster),
        resource_(std::move(resource)),
        space_(target.space),
        view_(view_of(request.accept, request.param("includeObject"))),
        labels_(request.param("labelSelector")),
        fields_(request.param("fieldSelector")),
        bookmarks_(request.flag("allowWatchBookmarks")) {
    if (!target.name.empty()) fields_ = FieldSelector("metadata.name=" + target.name);
    fields_.check_supported(resource_->plural, resource_->custom);
    const std::int64_t timeout = request.number("timeoutSeconds").value_or(kDefaultTimeout);
    deadline_ = Clock::now() + std::chrono::seconds(std::clamp<std::int64_t>(timeout, 1, 24 * 3600));
    const std::int64_t from = request.number("resourceVersion").value_or(0);
    const bool initial = request.flag("sendInitialEvents");
    if (initial && request.param("resourceVersionMatch") != "NotOlderThan") {
      throw ApiError(422, "Invalid",
                     "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
                     "sendInitialEvents requires setting "
                     "resourceVersionMatch to NotOlderThan");
    }
    if (from != 0 && !initial) {
      seen_ = from;
      return;
    }
    start_with_existing(initial);
  }

  std::optional<std::string> next() override {
    if (!pending_.empty()) return std::exchange(pending_, {});
    if (ended_ || Clock::now() >= deadline_) return std::nullopt;
    std::int64_t seen = seen_;
    std::vector<Change> changes;
    try {
      changes = cluster_.store().changes(resource_->storage, space_, seen_, kBatch,
                                         std::chrono::milliseconds(1000), seen);
    } catch (const ApiError& error) {
      ended_ = true;
      return line("ERROR", error.status());
    }
    std::string out;
    for (const Change& change : changes) out += event(change);
    seen_ = seen;
    if (!out.empty()) bookmarked_ = Clock::now();
    if (bookmarks_ && Clock::now() - bookmarked_ >= kBookmarkEvery) {
      bookmarked_ = Clock::now();
      out += bookmark(false);
    }
    return out;
  }

 private:
  void start_with_existing(bool initial) {
    const Page page = cluster_.store().list({resource_->storage, space_, {}, {}, {}, 0});
    for (const Json& stored : page.objects) {
      const Json object = from_storage(stored, *resource_);
      if (selected(object)) pending_ += tell("ADDED", object);
    }
    seen_ = page.revision;
    if (initial && bookmarks_) pending_ += bookmark(true);
  }

  bool selected(const Json& object) const { return labels_.matches(object) && fields_.matches(object); }

  static std::string line(const char* type, const Json& object) {
    return Json({{"type", type}, {"object", object}}).dump(-1, ' ', false, Json::error_handler_t::replace) +
           "\n";
  }

  std::string tell(const char* type, const Json& object) {
    if (view_.as == View::As::kTable) {
      const bool first = !std::exchange(columns_told_, true);
      return line(type, table(*resource_, {object}, {{"resourceVersion", meta(object, "resourceVersion")}},
                              view_, first));
    }
    if (view_.as != View::As::kObject) return line(type, partial_metadata(object, view_));
    return line(type, object);
  }

  /// A change as seen through the selectors: what leaves the selection is deleted, what enters it is added.
  std::string event(const Change& change) {
    const Json object = from_storage(change.object, *resource_);
    const bool was = !change.previous.is_null() && selected(from_storage(change.previous, *resource_));
    const bool is = change.type != ChangeType::kDeleted && selected(object);
    if (was && is) return tell("MODIFIED", object);
    if (is) return tell("ADDED", object);
    if (!was) return {};
    if (change.type == ChangeType::kDeleted) return tell("DELETED", object);
    Json last = from_storage(change.previous, *resource_);
    last["metadata"]["resourceVersion"] = meta(object, "resourceVersion");
    return tell("DELETED", last);
  }

  std::string bookmark(bool initial_end) {
    Json metadata = {{"resourceVersion", std::to_string(seen_)}, {"creationTimestamp", nullptr}};
    if (initial_end) metadata["annotations"] = {{"k8s.io/initial-events-end", "true"}};
    const Json object = {
        {"kind", resource_->kind}, {"apiVersion", resource_->api_version()}, {"metadata", metadata}};
    if (view_.as == View::As::kTable) {
      Json rows = table(*resource_, {}, {{"resourceVersion", std::to_string(seen_)}}, view_, false);
      rows["rows"] = Json::array({{{"cells", Json::array()}, {"object", partial_metadata(object, view_)}}});
      return line("BOOKMARK", rows);
    }
    return line("BOOKMARK", view_.as == View::As::kObject ? object : partial_metadata(object, view_));
  }

  Cluster& cluster_;
  std::shared_ptr<const Resource> resource_;
  std::string space_;
  View view_;
  LabelSelector labels_;
  FieldSelector fields_;
  bool bookmarks_;
  bool columns_told_ = false;
  bool ended_ = false;
  std::int64_t seen_ = 0;
  std::string pending_;
  Clock::time_point deadline_;
  Clock::time_point bookmarked_ = Clock::now();
};

}  // namespace

Response watch_objects(Cluster& cluster, std::shared_ptr<const Resource> resource, const Target& target,
                       const Request& request) {
  Response response;
  response.stream = std::make_unique<Watch>(cluster, std::move(resource), target, request);
  return response;
}

}  // namespace stepdown::local::api
