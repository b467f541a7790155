"""Typed fields of what a pipeline asks for, from its schema. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fields(schema: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """[{name, type, choices, value, required, hint}]; type: text, number, boolean, choice or json."""
    declared = schema or {}
    required = declared.get("required") or ()
    return [
        {
            "name": name,
            "type": _type(one),
            "choices": [str(choice) for choice in one.get("enum", ())],
            "value": one.get("default", ""),
            "required": name in required and "default" not in one,
            "hint": one.get("description", ""),
        }
        for name, one in (declared.get("properties") or {}).items()
        if isinstance(one, Mapping)
    ]


def _type(schema: Mapping[str, Any]) -> str:
    choices = schema.get("enum")
    if choices and all(isinstance(one, str) for one in choices):
        return "choice"
    known = {"string": "text", "integer": "number", "number": "number", "boolean": "boolean"}
    return known.get(str(schema.get("type", "string")), "json")
