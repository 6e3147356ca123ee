#include "engine/runtime/page_cache.h"

#include <algorithm>
#include <utility>

namespace stepdown::runtime {

/// A kept page; the way from the root spells the tokens before it.
struct PageCache::Node {
  std::vector<TokenId> tokens;  ///< of this page
  std::int32_t page = -1;
  Node* parent = nullptr;
  std::map<std::vector<TokenId>, std::unique_ptr<Node>> children;
  std::int64_t users = 0;       ///< leases that hold it; each holds its ancestors too
  std::uint64_t last_used = 0;  ///< its key in idle_leaves_
};

PageCache::PageCache(std::int64_t pages, std::int64_t page_tokens, bool share)
    : total_(pages), page_tokens_(page_tokens), share_(share), root_(std::make_unique<Node>()) {
  for (std::int64_t page = pages; page-- > 0;) free_.push_back(static_cast<std::int32_t>(page));
}

PageCache::~PageCache() = default;

template <class Visit>
void PageCache::follow(std::span<const TokenId> tokens, const Visit& visit) const {
  const Node* at = root_.get();
  const auto page_tokens = static_cast<std::size_t>(page_tokens_);
  for (; tokens.size() > page_tokens; tokens = tokens.subspan(page_tokens)) {
    const auto child = at->children.find({tokens.begin(), tokens.begin() + page_tokens_});
    if (child == at->children.end()) return;
    at = child->second.get();
    visit(*child->second);
  }
}

std::int64_t PageCache::known(std::span<const TokenId> tokens) const {
  std::int64_t pages = 0;
  follow(tokens, [&](const Node& /*node*/) { ++pages; });
  return pages * page_tokens_;
}

std::int64_t PageCache::attach(Lease& lease, std::span<const TokenId> tokens) {
  follow(tokens, [&](Node& node) {
    pin(node);
    lease.shared_.push_back(&node);
    lease.pages_.push_back(node.page);
  });
  return static_cast<std::int64_t>(lease.shared_.size()) * page_tokens_;
}

bool PageCache::grow(Lease& lease, std::int64_t tokens) {
  const std::int64_t wanted = pages_for(tokens) - static_cast<std::int64_t>(lease.pages_.size());
  if (wanted > available()) return false;
  for (std::int64_t i = 0; i < wanted; ++i) lease.pages_.push_back(take_page());
  return true;
}

void PageCache::keep(Lease& lease, std::span<const TokenId> computed) {
  if (!share_) return;
  const auto full = static_cast<std::size_t>(static_cast<std::int64_t>(computed.size()) / page_tokens_);
  while (lease.shared_.size() < full) {
    Node* parent = lease.shared_.empty() ? root_.get() : lease.shared_.back();
    std::int32_t& page = lease.pages_[lease.shared_.size()];
    const auto begin = computed.begin() + static_cast<std::ptrdiff_t>(lease.shared_.size()) * page_tokens_;
    auto& child = parent->children[{begin, begin + page_tokens_}];
    if (child == nullptr) {
      child = std::make_unique<Node>();
      child->page = page;
      child->parent = parent;
      child->tokens.assign(begin, begin + page_tokens_);
      child->users = 1;
    } else {  // another sequence computed the same: one copy is enough
      pin(*child);
      free_.push_back(std::exchange(page, child->page));
    }
    lease.shared_.push_back(child.get());
  }
}

void PageCache::release(Lease& lease) {
  const auto own = lease.pages_.begin() + static_cast<std::ptrdiff_t>(lease.shared_.size());
  std::reverse_copy(own, lease.pages_.end(), std::back_inserter(free_));
  for (auto node = lease.shared_.rbegin(); node != lease.shared_.rend(); ++node) unpin(**node);
  lease.pages_.clear();
  lease.shared_.clear();
}

double PageCache::usage() const {
  return total_ == 0 ? 0.0 : 1.0 - static_cast<double>(available()) / static_cast<double>(total_);
}

void PageCache::pin(Node& node) {
  if (node.users++ > 0) return;
  --idle_;
  idle_leaves_.erase(node.last_used);
}

void PageCache::unpin(Node& node) {
  if (--node.users > 0) return;
  ++idle_;
  node.last_used = ++clock_;
  rest(node);
}

// A leaf that nobody uses may go; what it hangs on may go after it.
void PageCache::rest(Node& node) {
  if (node.users == 0 && node.children.empty() && node.parent != nullptr)
    idle_leaves_[node.last_used] = &node;
}

std::int32_t PageCache::take_page() {
  if (free_.empty()) drop_oldest();
  const std::int32_t page = free_.back();
  free_.pop_back();
  return page;
}

void PageCache::drop_oldest() {
  Node* oldest = idle_leaves_.begin()->second;
  idle_leaves_.erase(idle_leaves_.begin());
  free_.push_back(oldest->page);
  --idle_;
  Node* parent = oldest->parent;
  parent->children.erase(std::vector<TokenId>(oldest->tokens));
  rest(*parent);
}

}  // namespace stepdown::runtime
