"""Checks an answer against the JSON Schema keywords that schema.json uses, so that clients count for themselves."""

import json

TYPES = {"object": dict, "array": list, "string": str}
KNOWN = {"type", "enum", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
         "minLength", "maxLength"}


def violation(value, schema: dict, path: str = "") -> str | None:
    """The first fault of a value, or None. Raises on a keyword it does not know: nothing is skipped silently."""
    if unknown := set(schema) - KNOWN:
        raise ValueError(f"schema keyword not supported: {sorted(unknown)[0]} at {path or '/'}")
    if not isinstance(value, TYPES[schema["type"]]):
        return f"{path or '/'} is not of type {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{path} is none of the allowed values"
    if isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return f"{path} has {len(value)} characters"
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return f"{path} has {len(value)} items"
        faults = (violation(item, schema["items"], f"{path}/{index}") for index, item in enumerate(value))
        return next(filter(None, faults), None)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        if missing := [name for name in schema.get("required", []) if name not in value]:
            return f"{path}/{missing[0]} is missing"
        if schema.get("additionalProperties") is False and set(value) - set(properties):
            return f"{path}/{sorted(set(value) - set(properties))[0]} is not allowed"
        faults = (violation(value[name], properties[name], f"{path}/{name}") for name in properties if name in value)
        return next(filter(None, faults), None)
    return None


def text_violation(text: str, schema: dict) -> str | None:
    try:
        return violation(json.loads(text), schema)
    except json.JSONDecodeError as error:
        return f"not JSON: {error}"
