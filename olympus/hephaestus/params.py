"""A run's parameters against the JSON Schema of its pipeline: `format` asserted, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from olympus.kernel.errors import Invalid
from olympus.spec.json_schema import compile_schema


def checked(pipeline: str, schema: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with the schema's defaults. Raises Invalid, which names every parameter that is wrong."""
    if schema is None:
        return dict(given)
    params = _with_defaults(schema, given)
    errors = sorted(compile_schema(orjson.dumps(schema)).faults(params), key=lambda e: list(map(str, e.path)))
    if errors:
        said = "; ".join(f"{_where(error.path)}: {error.message}" for error in errors[:10])
        raise Invalid(f"parameters of pipeline '{pipeline}': {said}")
    return params


def _with_defaults(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(given)
    for name, sub in (schema.get("properties") or {}).items():
        if not isinstance(sub, Mapping):
            continue
        if name not in out and "default" in sub:
            out[name] = sub["default"]
        elif isinstance(out.get(name), Mapping):
            out[name] = _with_defaults(sub, out[name])
    return out


def _where(path: Any) -> str:
    return "params" + "".join(f".{part}" for part in path)
