#include "engine/runtime/page_cache.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace stepdown::runtime {
namespace {

using Tokens = std::vector<tokenizer::TokenId>;

Tokens counting(std::size_t length, tokenizer::TokenId from) {
  Tokens tokens(length);
  std::iota(tokens.begin(), tokens.end(), from);
  return tokens;
}

PageCache::Lease computed(PageCache& cache, const Tokens& tokens) {
  PageCache::Lease lease;
  cache.attach(lease, tokens);
  EXPECT_TRUE(cache.grow(lease, static_cast<std::int64_t>(tokens.size())));
  cache.keep(lease, tokens);
  return lease;
}

TEST(PageCache, SequencesShareTheirBeginning) {
  PageCache cache(10, 4, true);
  const Tokens a = counting(10, 0);
  PageCache::Lease first = computed(cache, a);
  Tokens b(a.begin(), a.begin() + 8);
  b.push_back(99);
  PageCache::Lease second;
  EXPECT_EQ(cache.attach(second, b), 8);
  EXPECT_EQ(second.pages()[0], first.pages()[0]);
  EXPECT_EQ(second.pages()[1], first.pages()[1]);
  EXPECT_EQ(cache.available(), 7);
  ASSERT_TRUE(cache.grow(second, 9));
  EXPECT_NE(second.pages()[2], first.pages()[2]);
  cache.release(first);
  cache.release(second);
  EXPECT_EQ(cache.available(), 10);
  EXPECT_EQ(cache.usage(), 0.0);
}

TEST(PageCache, OneTokenIsAlwaysLeftToCompute) {
  PageCache cache(10, 4, true);
  PageCache::Lease first = computed(cache, counting(8, 0));
  PageCache::Lease second;
  EXPECT_EQ(cache.attach(second, counting(8, 0)), 4);
  cache.release(first);
  cache.release(second);
}

TEST(PageCache, WhatTwoComputedAtOnceIsKeptOnce) {
  PageCache cache(10, 4, true);
  PageCache::Lease first, second;
  ASSERT_TRUE(cache.grow(first, 8));
  ASSERT_TRUE(cache.grow(second, 8));
  cache.keep(first, counting(8, 0));
  cache.keep(second, counting(8, 0));
  EXPECT_EQ(first.pages()[1], second.pages()[1]);
  EXPECT_EQ(cache.available(), 8);
  cache.release(first);
  EXPECT_EQ(cache.available(), 8);
  cache.release(second);
  EXPECT_EQ(cache.available(), 10);
}

TEST(PageCache, GivesUpTheLongestUnusedLeafFirst) {
  PageCache cache(4, 4, true);
  for (const tokenizer::TokenId from : {0, 100}) {
    PageCache::Lease lease = computed(cache, counting(8, from));
    cache.release(lease);
  }
  PageCache::Lease other;
  ASSERT_TRUE(cache.grow(other, 4));  // takes the end of the older text
  PageCache::Lease older, newer;
  EXPECT_EQ(cache.attach(older, counting(9, 0)), 4);
  EXPECT_EQ(cache.attach(newer, counting(9, 100)), 8);
  EXPECT_FALSE(cache.grow(other, 8)) << "pages in use are never taken";
  cache.release(older);
  EXPECT_TRUE(cache.grow(other, 8));
}

TEST(PageCache, KeepsNothingWhenToldSo) {
  PageCache cache(4, 4, false);
  PageCache::Lease lease = computed(cache, counting(8, 0));
  cache.release(lease);
  EXPECT_EQ(cache.attach(lease, counting(9, 0)), 0);
}

TEST(PageCache, NeverGivesAPageToTwo) {
  PageCache cache(16, 2, true);
  std::vector<PageCache::Lease> leases(5);
  std::vector<Tokens> texts(5);
  std::uint32_t random = 1;
  for (int round = 0; round < 3000; ++round) {
    random = random * 1664525U + 1013904223U;
    const std::size_t at = (random >> 16) % 5;
    if (!leases[at].pages().empty()) {
      cache.release(leases[at]);
    } else {
      texts[at] = counting(1 + (random >> 8) % 9, static_cast<tokenizer::TokenId>((random >> 20) % 3));
      cache.attach(leases[at], texts[at]);
      if (cache.grow(leases[at], static_cast<std::int64_t>(texts[at].size()))) {
        cache.keep(leases[at], texts[at]);
      } else {
        cache.release(leases[at]);
      }
    }
    std::map<std::int32_t, std::set<Tokens>> owners;  // page → the texts up to its end
    std::set<std::int32_t> held;
    for (std::size_t i = 0; i < leases.size(); ++i) {
      for (std::size_t p = 0; p < leases[i].pages().size(); ++p) {
        held.insert(leases[i].pages()[p]);
        owners[leases[i].pages()[p]].insert(
            {texts[i].begin(),
             texts[i].begin() + static_cast<std::ptrdiff_t>(std::min(texts[i].size(), 2 * p + 2))});
      }
    }
    for (const auto& [page, beginnings] : owners) ASSERT_EQ(beginnings.size(), 1U) << "round " << round;
    ASSERT_EQ(cache.available() + static_cast<std::int64_t>(held.size()), 16) << "round " << round;
  }
}

}  // namespace
}  // namespace stepdown::runtime
