#include "operator/kube/events.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/kube/resources.h"
#include "operator/kube/time.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;

constexpr std::chrono::minutes kSeriesGap{6};
constexpr std::chrono::minutes kForgetPeriod{1};
constexpr std::chrono::seconds kWritePeriod{10};
constexpr std::size_t kLongestNote = 1024;
constexpr std::size_t kLongestName = 63;

/// Equal events are one series.
using Identity = std::array<std::string, 5>;

struct Series {
  ObjectKey event;
  int count = 1;
  int written = 1;
  EventRecorder::Clock::time_point last_seen;
  EventRecorder::Clock::time_point last_written;
};

/// Cut at 1 KiB, not within a UTF-8 sequence.
std::string shortened(std::string_view note) {
  if (note.size() <= kLongestNote) return std::string(note);
  std::size_t end = kLongestNote - 3;
  while (end > 0 && (static_cast<unsigned char>(note[end]) & 0xc0U) == 0x80U) --end;
  return std::string(note.substr(0, end)) + "...";
}

std::string event_name(const json& regarding, EventRecorder::Clock::time_point now) {
  const auto ticks = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  std::array<char, 24> suffix{};
  std::snprintf(suffix.data(), suffix.size(), ".%llx", static_cast<unsigned long long>(ticks));
  return key_of(regarding).name.substr(0, kLongestName) + suffix.data();
}

json reference_to(const json& object) {
  return {{"apiVersion", text_at(object, "/apiVersion")},
          {"kind", text_at(object, "/kind")},
          {"namespace", key_of(object).ns},
          {"name", key_of(object).name},
          {"uid", uid_of(object)},
          {"resourceVersion", resource_version_of(object)}};
}

}  // namespace

struct EventRecorder::State {
  /// Empty: that is a new Event. Else what is there of its series, and whether this one is to be written.
  struct Known {
    Series series;
    bool due = false;
  };

  std::optional<Known> count(const Identity& identity, const Series& fresh) {
    const Clock::time_point at = fresh.last_seen;
    const std::lock_guard lock(mutex);
    if (at - forgotten > kForgetPeriod) {
      std::erase_if(series, [&](const auto& entry) { return at - entry.second.last_seen > kSeriesGap; });
      forgotten = at;
    }
    const auto [entry, is_new] = series.try_emplace(identity, fresh);
    Series& known = entry->second;
    if (is_new) return std::nullopt;
    if (at - known.last_seen > kSeriesGap) {
      known = fresh;
      return std::nullopt;
    }
    ++known.count;
    known.last_seen = at;
    return Known{known, known.written == 1 || at - known.last_written >= kWritePeriod};
  }

  void wrote(const Identity& identity, const Series& what) {
    const std::lock_guard lock(mutex);
    Series& known = series[identity];
    if (known.event != what.event) known = what;
    known.written = std::max(known.written, what.count);
    known.last_written = what.last_seen;
  }

  void failed(const Identity& identity, const ObjectKey& event) {
    const std::lock_guard lock(mutex);
    const auto found = series.find(identity);
    if (found != series.end() && found->second.event == event) series.erase(found);
  }

  Client client;
  std::string controller;
  std::string instance;
  std::function<Clock::time_point()> now;
  std::mutex mutex;
  std::map<Identity, Series> series;
  Clock::time_point forgotten;
};

EventRecorder::EventRecorder(Client client, std::string controller, std::string instance,
                             std::function<Clock::time_point()> now)
    : state_(new State{
          std::move(client), std::move(controller), std::move(instance), std::move(now), {}, {}, {}}) {}
EventRecorder::~EventRecorder() = default;

void EventRecorder::normal(const json& regarding, std::string_view action, std::string_view reason,
                           std::string_view note) {
  record(regarding, "Normal", action, reason, note);
}

void EventRecorder::warning(const json& regarding, std::string_view action, std::string_view reason,
                            std::string_view note) {
  record(regarding, "Warning", action, reason, note);
}

void EventRecorder::record(const json& regarding, std::string_view type, std::string_view action,
                           std::string_view reason, std::string_view note) {
  const auto now = state_->now();
  const std::string text = shortened(note);
  const Identity identity = {uid_of(regarding), std::string(type), std::string(action), std::string(reason),
                             text};
  const std::string ns = key_of(regarding).ns.empty() ? "default" : key_of(regarding).ns;
  const Series fresh{{ns, event_name(regarding, now)}, 1, 1, now, now};
  // Requests are made without the lock: those who tell of other things do not wait for them.
  const std::optional<State::Known> known = state_->count(identity, fresh);
  if (known && !known->due) return;
  try {
    if (known) {
      const json patch = {
          {"series", {{"count", known->series.count}, {"lastObservedTime", format_micro_time(now)}}}};
      const auto patched = state_->client.patch_merge(resources::kEvents, known->series.event, patch);
      if (patched) return state_->wrote(identity, known->series);
      if (!patched.error().not_found()) throw ApiException(patched.error());
      // It was deleted or expired: begin anew.
    }
    const auto created = state_->client.create(resources::kEvents,
                                               {{"apiVersion", "events.k8s.io/v1"},
                                                {"kind", "Event"},
                                                {"metadata", {{"namespace", ns}, {"name", fresh.event.name}}},
                                                {"eventTime", format_micro_time(now)},
                                                {"reportingController", state_->controller},
                                                {"reportingInstance", state_->instance},
                                                {"action", action},
                                                {"reason", reason},
                                                {"regarding", reference_to(regarding)},
                                                {"note", text},
                                                {"type", type}});
    if (!created) throw ApiException(created.error());
    state_->wrote(identity, fresh);
  } catch (const Error& error) {
    if (!known) state_->failed(identity, fresh.event);
    log::warn("cannot record an event", {{"reason", reason}, {"note", text}, {"error", error.what()}});
  }
}

}  // namespace stepdown::kube
