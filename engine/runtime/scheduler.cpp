#include "engine/runtime/scheduler.h"

#include <algorithm>
#include <utility>

#include "engine/base/error.h"
#include "engine/runtime/advance.h"
#include "engine/runtime/measure_rows.h"
#include "engine/runtime/prompt_lookup.h"

namespace stepdown::runtime {
namespace {

using Clock = Sequence::Clock;

double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// A moving mean takes in one more value.
void follow(double& mean, double value) {
  constexpr double kShare = 0.1;  // of the newest
  mean = mean == 0.0 ? value : (1.0 - kShare) * mean + kShare * value;
}

}  // namespace

std::size_t most_sequences(const EngineOptions& options) {
  return options.max_queue + static_cast<std::size_t>(options.max_sequences);
}

Scheduler::Scheduler(const EngineOptions& options, const formats::ModelConfig& config,
                     model::Decoder& decoder, DraftModel* draft_model, kernels::ThreadPool& pool,
                     const tokenizer::Tokenizer& tokenizer, std::int64_t pages)
    : options_(options),
      vocab_(config.vocab),
      hidden_(config.hidden),
      decoder_(decoder),
      draft_model_(draft_model),
      pool_(pool),
      tokenizer_(tokenizer),
      pages_(pages, model::KvCache::kPageTokens, options.share_prefixes),
      turns_(2 * options.max_queue + 64) {
  thread_ = std::thread([this] { run(); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  arrived_.notify_all();
  thread_.join();
}

Engine::SubmittedAll Scheduler::submit(std::vector<GenerateRequest> requests) {
  std::vector<Owned> sequences;
  for (GenerateRequest& request : requests) {
    auto sequence = std::make_unique<Sequence>();
    sequence->tokens = std::move(request.prompt);
    if (static_cast<std::int64_t>(sequence->tokens.size()) >= options_.context)
      return {.refusal = Engine::Refusal::kPromptTooLong};
    sequence->sampler = std::make_unique<Sampler>(request.sampling);
    sequence->rank = {.priority = request.priority, .deadline = request.deadline};
    sequence->request = std::move(request);
    sequences.push_back(std::move(sequence));
  }
  return enqueue(std::move(sequences));
}

Engine::SubmittedAll Scheduler::submit(std::vector<EmbedRequest> requests) {
  std::vector<Owned> sequences;
  std::vector<std::future<std::vector<float>>> vectors;
  for (EmbedRequest& request : requests) {
    auto sequence = std::make_unique<Sequence>();
    sequence->purpose = Purpose::kEmbed;
    sequence->tokens = std::move(request.tokens);
    sequence->rank = {.priority = request.priority, .deadline = request.deadline};
    sequence->request.client = std::move(request.client);
    vectors.push_back(sequence->result_promise.get_future());
    sequences.push_back(std::move(sequence));
  }
  Engine::SubmittedAll all = enqueue(std::move(sequences));
  if (!all.refusal) all.vectors = std::move(vectors);
  return all;
}

Engine::SubmittedAll Scheduler::enqueue(std::vector<Owned> sequences) {
  Engine::SubmittedAll all;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return {.refusal = Engine::Refusal::kStopping};
    const std::size_t busy = waiting_.size() + static_cast<std::size_t>(stats_.running);
    if (busy + sequences.size() > most_sequences(options_)) return {.refusal = Engine::Refusal::kQueueFull};
    for (Owned& sequence : sequences) {
      all.ids.push_back(sequence->rank.id = next_id_++);
      sequence->rank.turn = turns_.next(sequence->request.client);
      enqueue(std::move(sequence));
    }
    stats_.waiting = static_cast<std::int64_t>(waiting_.size());
  }
  arrived_.notify_one();
  return all;
}

std::future<std::vector<float>> Scheduler::measure(std::span<const TokenId> tokens, Purpose purpose) {
  auto sequence = std::make_unique<Sequence>();
  sequence->purpose = purpose;
  sequence->tokens.assign(tokens.begin(), tokens.end());
  auto result = sequence->result_promise.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (stop_) throw Error("the engine is stopping", purpose == Purpose::kScore ? "score" : "embed");
    sequence->rank.id = next_id_++;
    sequence->rank.turn = turns_.now();
    enqueue(std::move(sequence));
  }
  arrived_.notify_one();
  return result;
}

void Scheduler::cancel(Engine::RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    if (id == 0 || id >= next_id_) return;
    cancelled_.insert(id);
  }
  arrived_.notify_one();
}

EngineStats Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Scheduler::enqueue(Owned sequence) {
  const auto place =
      std::ranges::upper_bound(waiting_, sequence->rank, {}, [](const Owned& s) { return s->rank; });
  waiting_.insert(place, std::move(sequence));
}

void Scheduler::run() {
  while (take_in()) {
    step();
    publish();
  }
  {
    const std::lock_guard lock(mutex_);
    for (Owned& sequence : waiting_) running_.push_back(std::move(sequence));
    waiting_.clear();
  }
  for (Owned& sequence : running_) end(*sequence, FinishReason::kCancelled);
}

bool Scheduler::take_in() {
  std::set<Engine::RequestId> cancelled;
  std::vector<Owned> dropped;
  Clock::time_point now;
  const auto ends = [&](const Sequence& sequence) {
    return cancelled.contains(sequence.rank.id) || sequence.rank.deadline <= now;
  };
  {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock,
                  [&] { return stop_ || !running_.empty() || !waiting_.empty() || !cancelled_.empty(); });
    if (stop_) return false;
    now = Clock::now();
    cancelled = std::exchange(cancelled_, {});
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      const bool drop = ends(**at);
      if (drop) dropped.push_back(std::move(*at));
      at = drop ? waiting_.erase(at) : at + 1;
    }
  }
  for (Owned& sequence : running_) {
    if (ends(*sequence)) dropped.push_back(std::move(sequence));
  }
  std::erase(running_, nullptr);
  for (Owned& sequence : dropped) {
    end(*sequence,
        cancelled.contains(sequence->rank.id) ? FinishReason::kCancelled : FinishReason::kDeadline);
    release(*sequence);
  }
  admit();
  return true;
}

void Scheduler::admit() {
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty() && static_cast<std::int64_t>(running_.size()) < options_.max_sequences) {
    Sequence& next = *waiting_.front();
    // A sequence that runs alone always has room: the cache holds at least one whole context.
    if (!running_.empty() && !has_room_for(next)) return;
    if (next.generates()) {
      const std::int64_t known = next.cached = pages_.attach(next.pages, next.tokens);
      if (next.generated == 0) {
        next.prefix_tokens = known;
        counted_.prefix_queries += next.tokens.size();
        counted_.prefix_hits += static_cast<std::uint64_t>(known);
      }
    }
    if (next.started == Clock::time_point{}) next.started = Clock::now();
    turns_.serve(next.rank.turn);
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    stats_.running = static_cast<std::int64_t>(running_.size());  // what there is room for is judged by it
  }
}

// By what all sequences are predicted to hold when they end, so that they seldom have to step back.
bool Scheduler::has_room_for(const Sequence& sequence) const {
  std::int64_t wanted = pages_.pages_for(predicted_tokens(sequence, typical_answer_, options_.context));
  for (const Owned& running : running_) {
    const auto held = static_cast<std::int64_t>(running->pages.pages().size());
    const std::int64_t final =
        pages_.pages_for(predicted_tokens(*running, typical_answer_, options_.context));
    wanted += std::max<std::int64_t>(0, final - held);
  }
  return wanted <= pages_.available();
}

std::int64_t Scheduler::draft_room(const Sequence& sequence) const {
  if (!sequence.generates() || sequence.pending() != 1 || sequence.generated == 0) return 0;
  return std::min({options_.draft_tokens, sequence.request.max_tokens - sequence.generated - 1,
                   options_.context - static_cast<std::int64_t>(sequence.tokens.size()) - 1});
}

void Scheduler::draft() {
  std::vector<DraftModel::Wish> wishes;
  for (const Owned& each : running_) {
    Sequence& sequence = *each;
    sequence.draft.clear();
    const std::int64_t room = draft_room(sequence);
    if (room <= 0) continue;
    if (sequence.request.constraint != nullptr)
      sequence.draft = sequence.request.constraint->forced(static_cast<std::size_t>(room));
    if (!sequence.draft.empty()) continue;
    const std::int64_t most = std::min(room, sequence.draft_limit);
    if (draft_model_ != nullptr) {
      wishes.push_back({&sequence, most});
    } else {
      sequence.draft = prompt_lookup(sequence.tokens, static_cast<std::size_t>(most));
    }
  }
  if (!wishes.empty()) draft_model_->propose(wishes);
}

void Scheduler::release(Sequence& sequence) {
  pages_.release(sequence.pages);
  if (draft_model_ != nullptr) draft_model_->release(sequence);
}

void Scheduler::preempt(Sequence& sequence) {
  release(sequence);  // what was kept of its pages serves again when it comes back
  sequence.cached = 0;
  sequence.result.clear();
  sequence.draft.clear();
  ++counted_.preemptions;
  const auto owned = std::ranges::find(running_, &sequence, &Owned::get);
  const std::lock_guard lock(mutex_);
  enqueue(std::move(*owned));
  running_.erase(owned);
}

std::vector<StepShare> Scheduler::allot(std::vector<StepShare> shares) {
  std::ranges::sort(shares, {}, [](const StepShare& share) { return share.sequence->rank; });
  for (std::size_t i = 0; i < shares.size(); ++i) {
    Sequence& sequence = *shares[i].sequence;
    const std::int64_t count = shares[i].count + static_cast<std::int64_t>(sequence.draft.size());
    while (!pages_.grow(sequence.pages, sequence.cached + count)) {
      Sequence& last = **std::ranges::max_element(running_, {}, [](const Owned& s) { return s->rank; });
      preempt(last);
      std::erase_if(shares, [&last](const StepShare& share) { return share.sequence == &last; });
      if (&last == &sequence) {
        --i;
        break;
      }
    }
  }
  return shares;
}

model::SequenceSlice Scheduler::slice_of(const StepShare& share) const {
  Sequence& sequence = *share.sequence;
  const auto pending =
      std::span<const TokenId>(sequence.tokens)
          .subspan(static_cast<std::size_t>(sequence.cached), static_cast<std::size_t>(share.count));
  const bool whole = share.count == sequence.pending();  // its last token's logits choose the next
  const std::int64_t silent = sequence.generates() ? share.count - (whole ? 1 : 0) : 0;
  if (sequence.draft.empty()) return {pending, sequence.cached, sequence.pages.pages(), silent};
  sequence.step_tokens.assign(pending.begin(), pending.end());
  sequence.step_tokens.insert(sequence.step_tokens.end(), sequence.draft.begin(), sequence.draft.end());
  return {sequence.step_tokens, sequence.cached, sequence.pages.pages(), silent};
}

void Scheduler::catch_up() {
  for (const Owned& each : running_) {
    Sequence& sequence = *each;
    if (!sequence.generates() || sequence.pending() <= 1) continue;
    if (pages_.known(sequence.tokens) <= sequence.cached) continue;
    pages_.release(sequence.pages);
    const std::int64_t known = pages_.attach(sequence.pages, sequence.tokens);
    if (sequence.generated == 0) {
      counted_.prefix_hits += static_cast<std::uint64_t>(known - sequence.prefix_tokens);
      sequence.prefix_tokens = known;
    }
    sequence.cached = known;
  }
}

void Scheduler::step() {
  if (options_.share_prefixes) catch_up();
  draft();
  const std::vector<StepShare> shares = allot(
      plan_step(running_, options_.prefill_chunk, options_.share_prefixes ? model::KvCache::kPageTokens : 0));
  if (shares.empty()) return;
  std::vector<model::SequenceSlice> slices;
  slices.reserve(shares.size());
  for (const StepShare& share : shares) slices.push_back(slice_of(share));
  decoder_.forward(slices);
  ++counted_.steps;
  counted_.last_step = Clock::now();
  sample(shares);
  remove_finished();
}

void Scheduler::sample(const std::vector<StepShare>& shares) {
  struct Choice {
    Sequence* sequence;
    std::size_t first;  ///< of its rows of logits
    std::size_t drafted;
    Advance made = {};
  };
  std::vector<Choice> choices;
  std::size_t rows = 0;
  choice_rows_.clear();
  std::int64_t row = 0;
  for (const StepShare& share : shares) {
    Sequence& sequence = *share.sequence;
    const auto drafted = static_cast<std::int64_t>(sequence.draft.size());
    if (!sequence.generates())
      measure_rows(sequence, {row, share.count}, {decoder_, pool_, operations_, logits_, vocab_, hidden_});
    if (sequence.generates() && share.count == sequence.pending()) {
      choices.push_back({&sequence, rows, sequence.draft.size()});
      for (std::int64_t i = 0; i <= drafted; ++i, ++rows)
        choice_rows_.add(row + share.count - 1 + i, *sequence.sampler);
    }
    if (sequence.generated == 0) counted_.prompt_tokens += static_cast<std::uint64_t>(share.count);
    sequence.cached += share.count;
    row += share.count + drafted;
  }
  choice_rows_.fetch();
  for (std::vector<std::size_t> wanted;; wanted.clear()) {
    pool_.each(static_cast<std::int64_t>(choices.size()), [&](std::int64_t index, int /*worker*/) {
      Choice& choice = choices[static_cast<std::size_t>(index)];
      if (choice.made.done) return;
      const auto known = choice_rows_.known().subspan(choice.first, choice.drafted + 1);
      choice.made =
          advance(*choice.sequence, {operations_, tokenizer_, known, vocab_, options_.context}, choice.made);
    });
    for (const Choice& choice : choices) {
      if (!choice.made.done) wanted.push_back(choice.first + choice.made.held);
    }
    if (wanted.empty()) break;
    choice_rows_.fetch_whole(wanted);
  }
  for (const Choice& choice : choices) {
    counted_.drafted_tokens += choice.drafted;
    counted_.held_tokens += choice.made.held;
    choice.sequence->cached += static_cast<std::int64_t>(choice.made.held);
  }
  for (const StepShare& share : shares) {
    Sequence& sequence = *share.sequence;
    if (!sequence.generates()) continue;
    pages_.keep(sequence.pages, std::span(sequence.tokens).first(static_cast<std::size_t>(sequence.cached)));
    if (draft_model_ != nullptr) draft_model_->settle(sequence);
    tell(sequence);
  }
}

void Scheduler::tell(Sequence& sequence) {
  for (TokenEvent& event : std::exchange(sequence.events, {})) {
    if (event.token >= 0) ++counted_.generated_tokens;
    if (event.finish) {
      const auto now = Clock::now();
      const bool any = sequence.generated > 0;
      const auto begun = sequence.started == Clock::time_point{} ? now : sequence.started;
      event.timing = {.queue = seconds(sequence.arrived, begun),
                      .prefill = seconds(begun, any ? sequence.answered : now),
                      .decode = any ? seconds(sequence.answered, now) : 0.0,
                      .prefix_tokens = sequence.prefix_tokens};
      if (*event.finish == FinishReason::kStop || *event.finish == FinishReason::kLength) {
        follow(typical_answer_, static_cast<double>(sequence.generated));
        follow(counted_.typical_seconds, event.timing.prefill + event.timing.decode);
      }
    }
    if (sequence.request.on_event) sequence.request.on_event(event);
  }
}

void Scheduler::end(Sequence& sequence, FinishReason reason) {
  sequence.finished = true;
  if (!sequence.generates()) {
    sequence.result_promise.set_exception(std::make_exception_ptr(Unfinished(reason)));
    return;
  }
  sequence.events.push_back({.finish = reason});
  tell(sequence);
}

void Scheduler::remove_finished() {
  for (Owned& sequence : running_) {
    if (sequence->finished) release(*sequence);
  }
  std::erase_if(running_, [](const Owned& sequence) { return sequence->finished; });
}

void Scheduler::publish() {
  const std::lock_guard lock(mutex_);
  stats_ = counted_;
  stats_.running = static_cast<std::int64_t>(running_.size());
  stats_.waiting = static_cast<std::int64_t>(waiting_.size());
  stats_.kv_usage = pages_.usage();
}

}  // namespace stepdown::runtime
