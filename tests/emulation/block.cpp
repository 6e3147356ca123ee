// Threads of a block as fibers.
#include <csetjmp>
#include <cstdlib>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/emulation/platform.h"
#include <ucontext.h>

namespace stepdown::kernels::cuda {

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulation {
namespace {

constexpr std::size_t kStack = 128 * 1024;
constexpr std::size_t kWarp = 32;

enum class State { kReady, kAtWarpBarrier, kAtBlockBarrier, kDone };

struct Copy {
  void* to;
  const void* from;
  bool valid;
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<std::byte[]> stack;
  State state = State::kReady;
  dim3 index;
  std::size_t exchanges = 0;
  std::vector<std::vector<Copy>> groups;  ///< closed groups of copies, oldest first
  std::vector<Copy> open;
};

struct Block {
  const std::function<void()>* body = nullptr;
  ucontext_t scheduler;
  std::vector<Fiber> fibers;
  Fiber* running = nullptr;
  std::vector<std::byte> shared;
  std::vector<std::array<Offers, 2>> offers;  ///< by warp
  std::string failure;
};

Block block;
std::mutex one_at_a_time;

void enter() {
  (*block.body)();
  block.running->state = State::kDone;
  swapcontext(&block.running->context, &block.scheduler);
}

void wait_in(State state) {
  block.running->state = state;
  swapcontext(&block.running->context, &block.scheduler);
}

void resume(Fiber& fiber) {
  block.running = &fiber;
  threadIdx = fiber.index;
  fiber.state = State::kReady;
  swapcontext(&block.scheduler, &fiber.context);
}

void fail(const char* what) {
  throw std::logic_error(std::string("emulated kernel: ") + what);
}

// Runs one warp until all its threads are done or at the block's barrier. Odd warps run backwards, so that an
// order that kernels count on by mistake differs from warp to warp.
void run_warp(std::size_t warp) {
  Fiber* const fibers = &block.fibers[warp * kWarp];
  for (;;) {
    std::size_t waiting = 0, done = 0;
    for (std::size_t i = 0; i < kWarp; ++i) {
      Fiber& fiber = fibers[warp % 2 == 0 ? i : kWarp - 1 - i];
      if (fiber.state == State::kReady || fiber.state == State::kAtWarpBarrier) resume(fiber);
      waiting += fiber.state == State::kAtWarpBarrier ? 1 : 0;
      done += fiber.state == State::kDone ? 1 : 0;
    }
    if (waiting == 0) {
      if (done != 0 && done != kWarp) fail("some threads of a warp ended before a barrier");
      return;
    }
    if (waiting != kWarp) fail("not all threads of a warp took part in its exchange");
  }
}

void run_block(std::size_t shared) {
  // What was not written shows: NaN as floats and as halves, −1 as integers.
  block.shared.assign(shared + 128, std::byte{0xff});
  const std::size_t warps = block.fibers.size() / kWarp;
  for (Fiber& fiber : block.fibers) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
    fiber.state = State::kReady;
    fiber.exchanges = 0;
    fiber.groups.clear();
    fiber.open.clear();
  }
  for (;;) {
    for (std::size_t warp = warps; warp-- > 0;) run_warp(warp);
    std::size_t done = 0;
    for (Fiber& fiber : block.fibers) {
      done += fiber.state == State::kDone ? 1 : 0;
      if (fiber.state == State::kAtBlockBarrier) fiber.state = State::kReady;
    }
    if (done == block.fibers.size()) return;
    if (done != 0) fail("some threads ended before the block's barrier");
  }
}

void perform(const std::vector<Copy>& group) {
  for (const Copy& copy : group) {
    if (copy.valid) {
      std::memcpy(copy.to, copy.from, 16);
    } else {
      std::memset(copy.to, 0, 16);
    }
  }
}

}  // namespace

void run(dim3 grid, int threads, std::size_t shared, const std::function<void()>& body) {
  const std::lock_guard lock(one_at_a_time);
  if (threads % static_cast<int>(kWarp) != 0) fail("a block of partial warps");
  block.body = &body;
  block.fibers.resize(static_cast<std::size_t>(threads));
  block.offers.resize(block.fibers.size() / kWarp);
  for (std::size_t i = 0; i < block.fibers.size(); ++i) {
    Fiber& fiber = block.fibers[i];
    if (!fiber.stack) fiber.stack = std::make_unique<std::byte[]>(kStack);
    fiber.index = {static_cast<unsigned>(i), 0, 0};
  }
  blockDim = {static_cast<unsigned>(threads), 1, 1};
  gridDim = grid;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        run_block(shared);
      }
    }
  }
}

void block_barrier() {
  wait_in(State::kAtBlockBarrier);
}
void warp_barrier() {
  wait_in(State::kAtWarpBarrier);
}

Offers& next_offers() {
  const std::size_t warp = threadIdx.x / kWarp;
  return block.offers[warp][block.running->exchanges++ % 2];
}

std::byte* launch_memory() {
  const auto at = reinterpret_cast<std::uintptr_t>(block.shared.data());
  return block.shared.data() + (128 - at % 128) % 128;
}

void copy_behind(void* to, const void* from, bool valid) {
  if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0 || reinterpret_cast<std::uintptr_t>(from) % 16 != 0)
    fail("a copy of 16 bytes that are not aligned");
  std::memset(to, 0xff, 16);  // not there until it is waited for
  block.running->open.push_back({to, from, valid});
}
void close_copies() {
  block.running->groups.push_back(std::move(block.running->open));
  block.running->open.clear();
}
void wait_for_copies(int open) {
  auto& groups = block.running->groups;
  while (groups.size() > static_cast<std::size_t>(open)) {
    perform(groups.front());
    groups.erase(groups.begin());
  }
}

}  // namespace emulation
}  // namespace stepdown::kernels::cuda
