#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace stepdown::runtime {

/// Who owns the pages of the key-value cache. Full pages are kept in a radix tree by the tokens that lead to
/// them, so that sequences which begin alike (system prompts, templates, turns of one chat) share what was
/// computed once; kept pages that no sequence uses are given up when others need room, the longest unused
/// first. One thread at a time.
class PageCache {
  struct Node;

 public:
  using TokenId = tokenizer::TokenId;

  /// `share` false: nothing is kept.
  PageCache(std::int64_t pages, std::int64_t page_tokens, bool share);
  ~PageCache();

  /// One sequence's pages in order; the first of them may be shared, and are then read only.
  class Lease {
   public:
    std::span<const std::int32_t> pages() const { return pages_; }

   private:
    friend class PageCache;
    std::vector<std::int32_t> pages_;
    std::vector<Node*> shared_;
  };

  /// How many tokens of a beginning attach() would give.
  std::int64_t known(std::span<const TokenId> tokens) const;
  /// Gives an empty lease the pages of the longest known beginning, at least one token short of all, and
  /// returns how many tokens that is.
  std::int64_t attach(Lease& lease, std::span<const TokenId> tokens);
  /// Grows the lease to hold `tokens`; false, and nothing taken, when there is no room.
  bool grow(Lease& lease, std::int64_t tokens);
  /// Lets others share the lease's full pages of these tokens, all of which are computed.
  void keep(Lease& lease, std::span<const TokenId> computed);
  void release(Lease& lease);

  std::int64_t pages_for(std::int64_t tokens) const { return (tokens + page_tokens_ - 1) / page_tokens_; }
  std::int64_t total() const { return total_; }
  /// Pages that grow() could take.
  std::int64_t available() const { return static_cast<std::int64_t>(free_.size()) + idle_; }
  /// Share of the pages that sequences hold, 0…1.
  double usage() const;

 private:
  /// Calls visit(node) for the kept pages that the tokens begin with, all of them but the last token's.
  template <class Visit>
  void follow(std::span<const TokenId> tokens, const Visit& visit) const;
  void pin(Node& node);
  void unpin(Node& node);
  void rest(Node& node);
  std::int32_t take_page();
  void drop_oldest();

  std::int64_t total_;
  std::int64_t page_tokens_;
  bool share_;
  std::vector<std::int32_t> free_;  ///< the last given back is the first taken: memory once touched is reused
  std::unique_ptr<Node> root_;
  std::map<std::uint64_t, Node*> idle_leaves_;  ///< by when they were last used
  std::int64_t idle_ = 0;                       ///< kept pages that no sequence uses
  std::uint64_t clock_ = 0;
};

}  // namespace stepdown::runtime
