#include "engine/runtime/scheduler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/base/error.h"

namespace stepdown::runtime {
namespace {

constexpr std::int64_t kScoreRows = 64;  // rows of logits held at once while scoring

}  // namespace

Scheduler::Scheduler(const EngineOptions& options, std::int64_t vocab, model::Decoder& decoder,
                     kernels::ThreadPool& pool, const tokenizer::Tokenizer& tokenizer, std::int64_t pages)
    : options_(options),
      vocab_(vocab),
      decoder_(decoder),
      pool_(pool),
      tokenizer_(tokenizer),
      free_pages_(pages) {
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

Engine::Submitted Scheduler::submit(GenerateRequest request) {
  auto sequence = std::make_unique<Sequence>();
  sequence->tokens = std::move(request.prompt);
  if (static_cast<std::int64_t>(sequence->tokens.size()) >= options_.context) {
    return {.refusal = Engine::Refusal::kPromptTooLong};
  }
  sequence->sampler = std::make_unique<Sampler>(request.sampling);
  sequence->request = std::move(request);
  Engine::RequestId id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return {.refusal = Engine::Refusal::kStopping};
    if (waiting_.size() >= options_.max_queue) return {.refusal = Engine::Refusal::kQueueFull};
    id = sequence->id = next_id_++;
    waiting_.push_back(std::move(sequence));
    stats_.waiting = static_cast<std::int64_t>(waiting_.size());
  }
  arrived_.notify_one();
  return {.id = id};
}

std::future<std::vector<float>> Scheduler::score(std::span<const TokenId> tokens) {
  auto sequence = std::make_unique<Sequence>();
  sequence->scored = true;
  sequence->tokens.assign(tokens.begin(), tokens.end());
  auto scores = sequence->scores_promise.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (stop_) throw Error("the engine is stopping", "score");
    waiting_.push_back(std::move(sequence));
  }
  arrived_.notify_one();
  return scores;
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
  for (Owned& sequence : running_) finish(*sequence, FinishReason::kCancelled);
}

bool Scheduler::take_in() {
  std::set<Engine::RequestId> cancelled;
  std::vector<Owned> dropped;
  {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock,
                  [&] { return stop_ || !running_.empty() || !waiting_.empty() || !cancelled_.empty(); });
    if (stop_) return false;
    cancelled = std::exchange(cancelled_, {});
    for (auto at = waiting_.begin(); !cancelled.empty() && at != waiting_.end();) {
      const bool drop = cancelled.contains((*at)->id);
      if (drop) dropped.push_back(std::move(*at));
      at = drop ? waiting_.erase(at) : at + 1;
    }
    while (!waiting_.empty() && static_cast<std::int64_t>(running_.size()) < options_.max_sequences) {
      running_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }
  for (Owned& sequence : dropped) finish(*sequence, FinishReason::kCancelled);
  if (cancelled.empty()) return true;
  for (Owned& sequence : running_) {
    if (!cancelled.contains(sequence->id)) continue;
    finish(*sequence, FinishReason::kCancelled);
  }
  remove_finished();
  return true;
}

void Scheduler::step() {
  const std::vector<StepShare> shares = plan_step(running_, options_.prefill_chunk);
  if (shares.empty()) return;
  std::vector<model::SequenceSlice> slices;
  for (const StepShare& share : shares) {
    Sequence& sequence = *share.sequence;
    // The cache holds max_sequences whole contexts: a page is always there.
    free_pages_.grow(sequence.pages, sequence.cached + share.count, model::KvCache::kPageTokens);
    const std::span<const TokenId> tokens(sequence.tokens);
    slices.push_back(
        {tokens.subspan(static_cast<std::size_t>(sequence.cached), static_cast<std::size_t>(share.count)),
         sequence.cached, sequence.pages});
  }
  decoder_.forward(slices);
  ++counted_.steps;
  counted_.last_step = std::chrono::steady_clock::now();
  sample(shares);
  remove_finished();
}

void Scheduler::sample(const std::vector<StepShare>& shares) {
  struct Choice {
    Sequence* sequence;
    TokenId token = -1;
    kernels::Distribution distribution{};
  };
  std::vector<std::int64_t> rows;
  std::vector<Choice> choices;
  std::int64_t row = 0;
  for (const StepShare& share : shares) {
    Sequence& sequence = *share.sequence;
    if (sequence.scored) {
      score_rows(sequence, row, share.count);
    } else if (share.count == sequence.pending()) {
      rows.push_back(row + share.count - 1);
      choices.push_back({&sequence});
    }
    if (sequence.generated == 0) counted_.prompt_tokens += static_cast<std::uint64_t>(share.count);
    sequence.cached += share.count;
    row += share.count;
  }
  const auto vocab = static_cast<std::size_t>(vocab_);
  logits_.resize(std::max(logits_.size(), rows.size() * vocab));
  decoder_.logits(rows, logits_.data());
  pool_.each(static_cast<std::int64_t>(choices.size()), [&](std::int64_t index, int /*worker*/) {
    const auto at = static_cast<std::size_t>(index);
    Choice& choice = choices[at];
    const std::span<const float> logits(logits_.data() + at * vocab, vocab);
    choice.distribution = operations_.summarize(logits.data(), vocab_);
    if (!choice.distribution.finite) return;
    Sequence& sequence = *choice.sequence;
    if (sequence.request.constraint != nullptr) {
      sequence.mask.assign((vocab + 31) / 32, 0);
      sequence.request.constraint->fill_mask(sequence.mask);
    }
    choice.token = sequence.sampler->choose(logits, sequence.mask);
  });
  for (std::size_t i = 0; i < choices.size(); ++i) {
    settle(*choices[i].sequence, {logits_.data() + i * vocab, vocab}, choices[i].token,
           choices[i].distribution);
  }
}

void Scheduler::settle(Sequence& sequence, std::span<const float> logits, TokenId token,
                       const kernels::Distribution& distribution) {
  GenerateRequest& request = sequence.request;
  if (!distribution.finite) return finish(sequence, FinishReason::kNonFinite);
  if (request.max_tokens <= 0) return finish(sequence, FinishReason::kLength);
  if (token < 0) {  // the grammar allows nothing more
    return finish(sequence, request.constraint->complete() ? FinishReason::kStop : FinishReason::kLength);
  }
  if (tokenizer_.is_end(token) && !request.ignore_end) return finish(sequence, FinishReason::kStop);
  sequence.sampler->accept(token);
  sequence.tokens.push_back(token);
  ++sequence.generated;
  ++counted_.generated_tokens;
  TokenEvent event{.token = token,
                   .logprob = logits[static_cast<std::size_t>(token)] - distribution.log_sum,
                   .entropy = distribution.entropy};
  if (request.top_logprobs > 0)
    event.top_logprobs = most_likely(logits, distribution.log_sum, request.top_logprobs);
  if (request.on_event) request.on_event(event);
  const bool fits = request.constraint == nullptr || request.constraint->accept(token);
  const bool full = static_cast<std::int64_t>(sequence.tokens.size()) >= options_.context;
  if (!fits || full || sequence.generated >= request.max_tokens) finish(sequence, FinishReason::kLength);
}

// Log-probabilities of the tokens that follow each row of this step.
void Scheduler::score_rows(Sequence& sequence, std::int64_t first_row, std::int64_t count) {
  const auto vocab = static_cast<std::size_t>(vocab_);
  const std::int64_t last = static_cast<std::int64_t>(sequence.tokens.size()) - 1;
  for (std::int64_t done = 0; done < count; done += kScoreRows) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = done; i < std::min(count, done + kScoreRows) && sequence.cached + i < last; ++i) {
      rows.push_back(first_row + i);
    }
    logits_.resize(std::max(logits_.size(), rows.size() * vocab));
    decoder_.logits(rows, logits_.data());
    const std::size_t known = sequence.scores.size();
    sequence.scores.resize(known + rows.size());
    pool_.each(static_cast<std::int64_t>(rows.size()), [&](std::int64_t index, int /*worker*/) {
      const auto at = static_cast<std::size_t>(index);
      const float* logits = logits_.data() + at * vocab;
      const TokenId next = sequence.tokens[known + at + 1];
      const kernels::Distribution distribution = operations_.summarize(logits, vocab_);
      sequence.scores[known + at] = distribution.finite ? logits[next] - distribution.log_sum : std::nanf("");
    });
  }
  if (sequence.cached + count > last) finish_scoring(sequence);
}

void Scheduler::finish_scoring(Sequence& sequence) {
  sequence.scores_promise.set_value(std::move(sequence.scores));
  sequence.tokens.clear();
}

void Scheduler::finish(Sequence& sequence, FinishReason reason) {
  if (sequence.scored) {
    sequence.scores_promise.set_exception(std::make_exception_ptr(Error("the engine is stopping", "score")));
  } else if (sequence.request.on_event) {
    sequence.request.on_event({.finish = reason});
  }
  sequence.tokens.clear();  // marks it as finished
}

void Scheduler::remove_finished() {
  for (Owned& sequence : running_) {
    if (sequence->tokens.empty()) free_pages_.give_back(sequence->pages);
  }
  std::erase_if(running_, [](const Owned& sequence) { return sequence->tokens.empty(); });
}

void Scheduler::publish() {
  const std::lock_guard lock(mutex_);
  stats_ = counted_;
  stats_.running = static_cast<std::int64_t>(running_.size());
  stats_.waiting = static_cast<std::int64_t>(waiting_.size());
  stats_.kv_usage = free_pages_.usage();
}

}  // namespace stepdown::runtime
