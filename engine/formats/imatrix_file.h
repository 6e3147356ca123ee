#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace stepdown::formats {

/// An importance matrix: for each matrix of a model, by its GGUF name, the mean square of every input column
/// over a calibration text. Errors in columns of large inputs cost more.
struct Imatrix {
  std::map<std::string, std::vector<float>, std::less<>> columns;  ///< of experts one after another
  std::string dataset;                                             ///< the text's name or digest
  std::uint32_t chunks = 0;                                        ///< of the text
  /// How many tokens came to each expert of the matrices that are split so.
  std::map<std::string, std::vector<float>, std::less<>> expert_tokens = {};
};

/// Reads llama.cpp's files: GGUF with "<name>.in_sum2" and "<name>.counts", or the older .dat. Throws
/// InputError for damaged files and values that are negative or not finite.
Imatrix read_imatrix(const std::filesystem::path& path);
/// The same from bytes; `file` names them in errors.
Imatrix parse_imatrix(std::span<const std::byte> bytes, const std::string& file);

/// Writes llama.cpp's GGUF form. `tokens`: that each entry of `imatrix` which is not split by experts is a
/// mean over.
void write_imatrix(const std::filesystem::path& path, const Imatrix& imatrix, std::uint32_t tokens,
                   std::uint32_t chunk_tokens);

}  // namespace stepdown::formats
