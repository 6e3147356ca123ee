#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/api/kinds.h"

/// Reads and prints structs by their descriptions: `describe(T*)` gives one row a field, its JSON name beside
/// its member. Private to this room and its tests.
namespace stepdown::api {

template <class Owner, class Member>
struct Field {
  const char* name;
  Member Owner::*member;
  bool required;
};

template <class Owner, class Member>
constexpr Field<Owner, Member> optional(const char* name, Member Owner::*member) {
  return {name, member, false};
}

template <class Owner, class Member>
constexpr Field<Owner, Member> required(const char* name, Member Owner::*member) {
  return {name, member, true};
}

template <class T>
concept Described = requires(T* value) {
  describe(value);
};

/// How a type stands in JSON. Specialised below; a described struct is an object.
template <class T>
struct Codec;

struct ReadContext {
  std::string path;
  UnknownFields unknown;
  std::vector<InputError>* faults = nullptr;  ///< takes what is wrong in place of an exception

  ReadContext child(const std::string& name) const {
    return {path.empty() ? name : path + "." + name, unknown, faults};
  }
  ReadContext element(std::size_t index) const {
    return {path + "[" + std::to_string(index) + "]", unknown, faults};
  }
  ReadContext key(const std::string& name) const { return {path + "[" + name + "]", unknown, faults}; }

  /// Reads one part; what is wrong with it hides nothing that is wrong with the others.
  template <class Read>
  void part(Read read) const {
    if (faults == nullptr) return read();
    try {
      read();
    } catch (const InputError& error) {
      faults->push_back(error);
    }
  }
  [[noreturn]] void wrong_type(const char* wanted, const nlohmann::json& found) const {
    throw InputError(std::string("expected ") + wanted + ", found " + found.type_name(), path,
                     std::string("give ") + wanted);
  }
};

template <>
struct Codec<std::string> {
  static void read(const nlohmann::json& from, std::string& to, const ReadContext& at) {
    if (!from.is_string()) at.wrong_type("a string", from);
    to = from.get<std::string>();
  }
  static nlohmann::json print(const std::string& value) { return value; }
  static bool absent(const std::string& value) { return value.empty(); }
};

template <>
struct Codec<bool> {
  static void read(const nlohmann::json& from, bool& to, const ReadContext& at) {
    if (!from.is_boolean()) at.wrong_type("true or false", from);
    to = from.get<bool>();
  }
  static nlohmann::json print(bool value) { return value; }
  static bool absent(bool) { return false; }
};

template <>
struct Codec<std::int64_t> {
  static void read(const nlohmann::json& from, std::int64_t& to, const ReadContext& at) {
    if (from.is_number_unsigned() && from.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
      throw InputError("the number is too large", at.path, "give a number below 2^63");
    }
    if (!from.is_number_integer()) at.wrong_type("an integer", from);
    to = from.get<std::int64_t>();
  }
  static nlohmann::json print(std::int64_t value) { return value; }
  static bool absent(std::int64_t) { return false; }
};

template <>
struct Codec<double> {
  static void read(const nlohmann::json& from, double& to, const ReadContext& at) {
    if (!from.is_number()) at.wrong_type("a number", from);
    to = from.get<double>();
  }
  /// Whole numbers print as integers, as an API server stores them: an apply of 2 over 2.0 is no change.
  static nlohmann::json print(double value) {
    const auto whole = static_cast<std::int64_t>(std::abs(value) < 1e15 ? value : 0);
    if (std::abs(value) < 1e15 && static_cast<double>(whole) == value) return whole;
    return value;
  }
  static bool absent(double) { return false; }
};

template <>
struct Codec<RawJson> {
  static void read(const nlohmann::json& from, RawJson& to, const ReadContext&) { to.text = from.dump(); }
  static nlohmann::json print(const RawJson& value) {
    return nlohmann::json::parse(value.text, nullptr, /*allow_exceptions=*/false);
  }
  static bool absent(const RawJson& value) { return value.text.empty(); }
};

template <>
struct Codec<Quantity> {
  static void read(const nlohmann::json& from, Quantity& to, const ReadContext& at) {
    if (from.is_string()) {
      to.text = from.get<std::string>();
    } else if (from.is_number_integer()) {
      to.text = from.dump();
    } else {
      at.wrong_type("a quantity such as 500m or 16Gi", from);
    }
  }
  static nlohmann::json print(const Quantity& value) { return value.text; }
  static bool absent(const Quantity&) { return false; }
};

template <class T>
struct Codec<std::optional<T>> {
  static void read(const nlohmann::json& from, std::optional<T>& to, const ReadContext& at) {
    Codec<T>::read(from, to.emplace(), at);
  }
  static nlohmann::json print(const std::optional<T>& value) { return Codec<T>::print(*value); }
  static bool absent(const std::optional<T>& value) { return !value.has_value(); }
};

template <class T>
struct Codec<std::vector<T>> {
  static void read(const nlohmann::json& from, std::vector<T>& to, const ReadContext& at) {
    if (!from.is_array()) at.wrong_type("a list", from);
    to.clear();
    for (std::size_t i = 0; i < from.size(); ++i) {
      at.part([&] { Codec<T>::read(from[i], to.emplace_back(), at.element(i)); });
    }
  }
  static nlohmann::json print(const std::vector<T>& value) {
    nlohmann::json out = nlohmann::json::array();
    for (const T& each : value) out.push_back(Codec<T>::print(each));
    return out;
  }
  static bool absent(const std::vector<T>& value) { return value.empty(); }
};

template <class T>
struct Codec<std::map<std::string, T>> {
  static void read(const nlohmann::json& from, std::map<std::string, T>& to, const ReadContext& at) {
    if (!from.is_object()) at.wrong_type("an object", from);
    to.clear();
    for (const auto& entry : from.items()) {
      at.part([&] { Codec<T>::read(entry.value(), to[entry.key()], at.key(entry.key())); });
    }
  }
  static nlohmann::json print(const std::map<std::string, T>& value) {
    nlohmann::json out = nlohmann::json::object();
    for (const auto& [key, each] : value) out[key] = Codec<T>::print(each);
    return out;
  }
  static bool absent(const std::map<std::string, T>& value) { return value.empty(); }
};

template <Described T>
struct Codec<T> {
  static void read(const nlohmann::json& from, T& to, const ReadContext& at) {
    if (!from.is_object()) at.wrong_type("an object", from);
    if (at.unknown == UnknownFields::kRefuse) refuse_unknown(from, at);
    std::apply([&](const auto&... field) { (at.part([&] { read_field(field, from, to, at); }), ...); },
               describe(static_cast<T*>(nullptr)));
  }
  static nlohmann::json print(const T& value) {
    nlohmann::json out = nlohmann::json::object();
    std::apply([&](const auto&... field) { (print_field(field, value, out), ...); },
               describe(static_cast<T*>(nullptr)));
    return out;
  }
  static bool absent(const T& value) { return print(value).empty(); }

 private:
  template <class F>
  static void read_field(const F& field, const nlohmann::json& from, T& to, const ReadContext& at) {
    using Member = std::remove_reference_t<decltype(to.*field.member)>;
    const auto found = from.find(field.name);
    if (found == from.end() || found->is_null()) {
      if (field.required) {
        throw InputError("required field is missing", at.child(field.name).path, "add it");
      }
      return;
    }
    Codec<Member>::read(*found, to.*field.member, at.child(field.name));
  }
  template <class F>
  static void print_field(const F& field, const T& value, nlohmann::json& out) {
    using Member = std::remove_cvref_t<decltype(value.*field.member)>;
    if (!Codec<Member>::absent(value.*field.member)) {
      out[field.name] = Codec<Member>::print(value.*field.member);
    }
  }
  static void refuse_unknown(const nlohmann::json& from, const ReadContext& at) {
    for (const auto& entry : from.items()) {
      const std::string& key = entry.key();
      const bool known = std::apply([&](const auto&... field) { return ((key == field.name) || ...); },
                                    describe(static_cast<T*>(nullptr)));
      if (known) continue;
      std::string names;
      std::apply(
          [&](const auto&... field) {
            ((names += (names.empty() ? "" : ", ") + std::string(field.name)), ...);
          },
          describe(static_cast<T*>(nullptr)));
      at.part(
          [&] { throw InputError("unknown field", at.child(key).path, "remove it; known here: " + names); });
    }
  }
};

}  // namespace stepdown::api
