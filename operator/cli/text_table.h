#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Figures and tables for terminals.
namespace stepdown::cli {

using Row = std::vector<std::string>;

/// Columns that a UTF-8 text takes; wide characters do not occur here.
std::size_t columns(const std::string& text);
/// The text, at most `width` columns of it, with … where it was cut.
std::string cut(const std::string& text, std::size_t width);
/// The text in lines of at most `width` columns, broken at spaces; each after the first begins with `indent`.
std::vector<std::string> wrapped(const std::string& text, std::size_t width, const std::string& indent);
/// Rows in columns, indented by two.
std::vector<std::string> table(const std::vector<Row>& rows);

/// Three digits or more, without needless ones.
std::string number(double value);
/// "-" for none.
std::string mebibytes(std::int64_t bytes);
/// The first 12 hex digits.
std::string short_digest(const std::string& digest);

}  // namespace stepdown::cli
