// A small deterministic driver for fuzz targets written for libFuzzer's entry point: replays seed files and
// random mutations of them. Usage: TARGET [--runs N] [--seed S] [FILE|DIR ...]; without files the target's
// own corpus, tests/fuzz/corpus/<target name>, is used. Build with clang and -fsanitize=fuzzer for coverage
// guidance.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;
namespace fs = std::filesystem;

void collect(const fs::path& path, std::vector<Bytes>& seeds) {
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) collect(entry.path(), seeds);
    }
    return;
  }
  std::ifstream in(path, std::ios::binary);
  seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

Bytes mutate(const std::vector<Bytes>& seeds, std::mt19937_64& random) {
  Bytes bytes = seeds[random() % seeds.size()];
  const auto at = [&](std::size_t extra) { return random() % (bytes.size() + extra); };
  for (std::uint64_t edits = 1 + random() % 6; edits > 0; --edits) {
    switch (bytes.empty() ? 0 : random() % 7) {
      case 0:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at(1)), static_cast<std::uint8_t>(random()));
        break;
      case 1:
        bytes[at(0)] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        bytes[at(0)] ^= static_cast<std::uint8_t>(1u << (random() % 8));
        break;
      case 3:
        bytes.resize(at(1));
        break;
      case 4: {  // extreme lengths and counts are what parsers trust too easily
        const std::uint64_t extremes[] = {0, 1, 0x7f, 0xff, 0x7fffffff, 0xffffffff, ~0ULL, 1ULL << 63};
        const std::uint64_t value = extremes[random() % 8];
        for (std::size_t i = at(0), k = 0; i < bytes.size() && k < 8; ++i, ++k)
          bytes[i] = static_cast<std::uint8_t>(value >> (8 * k));
        break;
      }
      case 5: {
        const std::size_t from = at(0);
        bytes.erase(
            bytes.begin() + static_cast<std::ptrdiff_t>(from),
            bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), from + 1 + random() % 16)));
        break;
      }
      default: {
        const Bytes& other = seeds[random() % seeds.size()];
        if (other.empty()) break;
        const std::size_t from = random() % other.size();
        const std::size_t count = std::min<std::size_t>(other.size() - from, 1 + random() % 64);
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at(1)),
                     other.begin() + static_cast<std::ptrdiff_t>(from),
                     other.begin() + static_cast<std::ptrdiff_t>(from + count));
      }
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 10000;
  std::uint64_t seed = 1;
  std::vector<Bytes> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--runs" && i + 1 < argc) {
      runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--seed" && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      collect(argument, seeds);
    }
  }
  if (seeds.empty()) {
    const fs::path corpus =
        fs::path(STEPDOWN_SOURCE_DIR) / "tests/fuzz/corpus" / fs::path(argv[0]).filename();
    if (fs::exists(corpus)) collect(corpus, seeds);
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "%s: no seeds; add some under tests/fuzz/corpus\n", argv[0]);
    return 2;
  }
  for (const Bytes& bytes : seeds) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  std::mt19937_64 random(seed);
  for (std::uint64_t run = 0; run < runs; ++run) {
    const Bytes bytes = mutate(seeds, random);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%s: %zu seeds, %llu mutations, no fault\n", argv[0], seeds.size(),
              static_cast<unsigned long long>(runs));
  return 0;
}
