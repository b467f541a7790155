"""OpenAPI 3.1 (spec.openapis.org), made of the table of routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from olympus.apollo.routes import API, Route

_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_PROBES: Final = {"/healthz": "It lives", "/readyz": "It is ready", "/metrics": "Prometheus's text format"}


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """Absolute paths of the API, of webhooks and of probes."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    paths[f"{API}/openapi.json"] = {
        "get": {
            "operationId": "getOpenapi",
            "summary": "This document",
            "responses": {"200": {"description": "OK"}, "401": _refusal("A token is needed")},
        }
    }
    for path, summary in _PROBES.items():
        answers = {"200": {"description": "Yes"}}
        if path == "/readyz":
            answers["503"] = {"description": "Not yet, and why"}
        operation = f"get{path[1:].capitalize()}"
        paths[path] = {
            "get": {"operationId": operation, "summary": summary, "security": [], "responses": answers}
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Olympus",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                    },
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", route.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query]
    if route.path.endswith("/runs") and route.method == "POST":
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}})
    answers: dict[str, Any] = {
        str(route.answer): {"description": "Done"},
        "400": _refusal("It can't be read"),
    }
    if route.access != "open":
        answers |= {
            "401": _refusal("A token is needed"),
            "403": _refusal(f"The role {route.access} is needed"),
        }
    else:
        answers |= {
            "200": {"description": "A duplicate"},
            "204": {"description": "Its `where` is false"},
            "401": _refusal("It does not prove itself"),
        }
    if names:
        answers["404"] = _refusal("There is no such thing")
    if route.method == "POST":
        answers |= {"409": _refusal("It can't be done now"), "422": _refusal("It is not valid")}
    words = [word for word in re.split(r"[^A-Za-z]+", route.path.removeprefix(API)) if word]
    found: dict[str, Any] = {
        "operationId": route.method.lower() + "".join(word.capitalize() for word in words),
        "summary": route.summary,
        "description": f"Needs the role {route.access}." if route.access != "open" else "Proves itself.",
        "parameters": parameters,
        "responses": answers,
    }
    if route.access == "open":
        found["security"] = []
    if route.body is not None:
        found["requestBody"] = {"content": {"application/json": {"schema": route.body}}}
    return found


def _refusal(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _PROBLEM}}}
