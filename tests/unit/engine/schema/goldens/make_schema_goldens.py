#!/usr/bin/env python3
"""Writes validity.json: which documents Python's `jsonschema` finds valid.

    pip install jsonschema
    ./make_schema_goldens.py
"""
import json
import pathlib

import jsonschema

INCIDENT = {
    "type": "object", "additionalProperties": False, "required": ["severity", "root_cause", "recommendations"],
    "properties": {
        "severity": {"type": "string", "enum": ["low", "medium", "high", "critical"], "description": "how bad"},
        "root_cause": {"type": "string", "minLength": 3, "maxLength": 20},
        "recommendations": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 3, "maxItems": 3},
    },
}
TREE = {"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                           "required": ["v"], "additionalProperties": False}}, "$ref": "#/$defs/node"}
VALUES = [None, True, False, 0, 1, -1, 7, 10, 11, 2.5, 1.0, 1e3, -0.5, 0.1, 0.25, 123456789012, "", "a", "ab", "abc", "abcdefgh", "naïve", "日本語", "😀😀", "a b", "x-1",
          "2024-02-29", "2024-13-01", "12:30:00Z", "A1", "A12", "A123", "foo.bar", "high", [], [1], [1, 2], [1, "a"], ["a", 1], [1, 2, 3], [[1], [2]], [[]],
          ["a", "b", "c"], {}, {"a": 1}, {"a": "x"}, {"a": 1, "b": "x"}, {"b": "x"}, {"a": 1, "c": 2}, {"c": []}, {"a": None}, {"a": {"a": {"a": None}}},
          "quote\" back\\slash", "tab\tnew\nline", "\u0001", {"é": 1}, {"a": 1, "b": "x", "zz": {"q": []}}]
CASES = [
    ({}, VALUES),
    (True, VALUES),
    ({"type": "object"}, VALUES),
    ({"type": "array"}, VALUES),
    ({"type": "string"}, VALUES),
    ({"type": "integer"}, VALUES),
    ({"type": "number"}, VALUES),
    ({"type": "boolean"}, VALUES),
    ({"type": "null"}, VALUES),
    ({"type": ["string", "null"]}, VALUES),
    ({"type": ["integer", "array", "object"]}, VALUES),
    ({"type": "string", "minLength": 2, "maxLength": 3}, VALUES),
    ({"type": "string", "maxLength": 0}, VALUES),
    ({"type": "string", "pattern": "^[A-Z][0-9]{1,2}$"}, VALUES),
    ({"type": "string", "pattern": "^(foo|ba[rz])\\.\\w+$"}, VALUES),
    ({"type": "string", "pattern": "b"}, VALUES),
    ({"type": "string", "pattern": "^[^a]*$"}, VALUES),
    ({"type": "string", "pattern": "^.{3}$"}, VALUES),
    ({"type": "string", "pattern": "^(a|b)+?$".replace("+?", "+")}, VALUES),
    ({"type": "string", "pattern": "^\\S+( \\S+)*$"}, VALUES),
    ({"type": "string", "pattern": "^[日-語]+$"}, VALUES),
    ({"type": "integer", "minimum": 0, "maximum": 10}, VALUES),
    ({"type": "integer", "exclusiveMinimum": 0}, VALUES),
    ({"type": "integer", "maximum": -1}, VALUES),
    ({"type": "integer", "minimum": 7, "exclusiveMaximum": 11}, VALUES),
    ({"type": "number", "minimum": 0, "maximum": 1}, VALUES),
    ({"type": "number", "exclusiveMinimum": 0.1, "maximum": 2.5}, VALUES),
    ({"type": "number", "maximum": 0}, VALUES),
    ({"enum": ["a", "ab", 1, 10, 11, None, [1], {"a": 1}]}, VALUES),
    ({"type": "string", "enum": ["a", "high", 7]}, VALUES),
    ({"const": "ab"}, VALUES),
    ({"const": "quote\" back\\slash"}, VALUES),
    ({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]}, VALUES),
    ({"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"type": "array", "items": {"type": "integer"}}]}, VALUES),
    ({"allOf": [{"type": "integer"}], "title": "one"}, VALUES),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2}, VALUES),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False}, VALUES),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "integer"}}, VALUES),
    ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 1}}, VALUES),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"], "additionalProperties": False}, VALUES),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}, VALUES),
    ({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, VALUES),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False}, VALUES),
    ({"type": "string", "format": "date"}, VALUES),
    (INCIDENT, [
        {"severity": "high", "root_cause": "worn seal", "recommendations": ["a", "b", "c"]},
        {"severity": "urgent", "root_cause": "worn seal", "recommendations": ["a", "b", "c"]},
        {"severity": "high", "root_cause": "no", "recommendations": ["a", "b", "c"]},
        {"severity": "high", "root_cause": "x" * 21, "recommendations": ["a", "b", "c"]},
        {"severity": "high", "root_cause": "é" * 20, "recommendations": ["a", "b", "c"]},
        {"severity": "high", "root_cause": "worn seal", "recommendations": ["a", "b"]},
        {"severity": "high", "root_cause": "worn seal", "recommendations": ["a", "b", "c", "d"]},
        {"severity": "high", "root_cause": "worn seal"},
        {"severity": "high", "root_cause": "worn seal", "recommendations": ["a", "b", "c"], "note": 1},
        {"severity": "high", "root_cause": "worn \"seal\"\n", "recommendations": ["", "\\", "😀"]},
    ]),
    (TREE, [{"v": 1}, {"v": 1, "children": []}, {"v": 1, "children": [{"v": 2, "children": [{"v": 3}]}]}, {"v": 1, "children": [{}]}, {"children": []}, {"v": "x"}]),
]


if __name__ == "__main__":
    out = []
    for schema, documents in CASES:
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker(["date"]))
        out.append({"schema": schema, "documents": [[d, validator.is_valid(d)] for d in documents]})
    path = pathlib.Path(__file__).parent / "validity.json"
    path.write_text("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in out) + "\n]\n")
    print(path, len(out), "schemas,", sum(len(c["documents"]) for c in out), "documents")
