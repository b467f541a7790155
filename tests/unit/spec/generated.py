"""Strategies for specs, made from the models themselves: whatever a field allows is tried."""

from __future__ import annotations

import types
import typing
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import AfterValidator, StringConstraints
from pydantic.fields import FieldInfo

from olympus.spec.duration import PATTERN as DURATION
from olympus.spec.kinds import API_VERSION, KINDS, Spec
from olympus.spec.kinds.base import DateText, Holes, HostPort, MomentText, SelectorText
from olympus.spec.kinds.logwatch import Listen
from olympus.spec.kinds.metadata import Metadata

numbers = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=10)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_TEXTS = (
    "x",
    "role=web",
    "a == b",
    "10s",
    "1h30m",
    "20%",
    "/srv",
    "files/x",
    "http://h/",
    "${{ params.x }}",
    "each",
)


def _pattern(form: Any) -> str:
    """Of one of the types of texts."""
    return next(str(one.pattern) for one in form.__metadata__ if isinstance(one, StringConstraints))


_HOLES = st.sampled_from(["${{ params.x }}", "${{ 5 }}", "${{ {a: {b: 1}} }}"])
_MIXED = st.sampled_from(["${{ params.x }}s", "a${{ '}}' }}${{ b }}", "$${{ x }}", "${{ x", "${{ x }} "])
_SELECTORS = st.sampled_from(
    ["", "role=web", "role=web,zone!=c", "role in (web, api)", "!spot", "a/b notin (c)"]
)


_MOMENTS = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds"))
_SAMPLES = {
    # Of what has this form, little is what it looks like: a date, an address with a port.
    _pattern(MomentText): _MOMENTS | _MOMENTS.map(lambda text: f"{text}Z"),
    _pattern(DateText): st.dates().map(str),
    _pattern(HostPort): st.integers(1, 65535).map(lambda port: f"host:{port}"),
    _pattern(Listen): st.integers(1, 65535).map(lambda port: f"udp://0.0.0.0:{port}"),
}


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Valid ones, but for what only a look at the text tells (a duration that is too long)."""
    return st.sampled_from(sorted(KINDS)).flatmap(document)


@lru_cache(maxsize=64)
def document(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "apiVersion": st.just(API_VERSION),
            "kind": st.just(kind),
            "metadata": spec(Metadata),
            "spec": spec(KINDS[kind]),
        }
    )


@lru_cache(maxsize=256)
def spec(model: type[Spec]) -> st.SearchStrategy[dict[str, Any]]:
    fields = model.model_fields
    exclusive = model.ONE_OF
    free = {name: field for name, field in fields.items() if name not in exclusive}
    required = {_alias(name, field): _field(field) for name, field in free.items() if field.is_required()}
    optional = {_alias(name, field): _field(field) for name, field in free.items() if not field.is_required()}
    base = st.fixed_dictionaries(required, optional=optional)
    if not exclusive:
        return base
    chosen = st.sampled_from(exclusive).flatmap(
        lambda name: st.fixed_dictionaries({_alias(name, fields[name]): _field(fields[name])})
    )
    return st.builds(lambda one, rest: one | rest, chosen, base)


def _alias(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _field(field: FieldInfo) -> st.SearchStrategy[Any]:
    return of_type(field.annotation, tuple(field.metadata))


def of_type(annotation: Any, limits: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Values that the annotation allows; None is no value of an optional field."""
    if any(isinstance(limit, Holes) for limit in limits):
        rest = tuple(limit for limit in limits if not isinstance(limit, Holes))
        return of_type(annotation, rest) | _HOLES | _MIXED
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return of_type(arguments[0], (*arguments[1:], *limits))
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of_type(one, limits) for one in arguments if one is not type(None)])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        least = next((limit.min_length for limit in _flat(limits) if isinstance(limit, MinLen)), 0)
        return st.lists(of_type(arguments[0]), min_size=least, max_size=least + 2)
    if origin is dict:
        return st.dictionaries(of_type(arguments[0]), of_type(arguments[1]), max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return st.deferred(lambda: spec(annotation))
    return _plain(annotation, limits)


def _plain(annotation: Any, limits: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    flat = _flat(limits)
    if annotation is str:
        return _text(flat)
    if annotation is bool:
        return st.booleans()
    least = next(
        (limit.ge if isinstance(limit, Ge) else limit.gt for limit in flat if isinstance(limit, Ge | Gt)),
        None,
    )
    if annotation is int:
        return st.integers(least, 10**6)
    if annotation is float:
        above = any(isinstance(limit, Gt) for limit in flat)
        return st.floats(least, 1e6, exclude_min=above, allow_subnormal=False) | st.integers(
            int(least) + 1, 100
        )
    if annotation is Any:
        return json_values
    raise TypeError(f"no strategy for {annotation}")


def _flat(limits: tuple[Any, ...]) -> list[Any]:
    return [
        part for limit in limits for part in (limit.metadata if isinstance(limit, FieldInfo) else [limit])
    ]


def _text(limits: list[Any]) -> st.SearchStrategy[str]:
    pattern, least, most = None, 0, None
    for limit in limits:
        if isinstance(limit, StringConstraints):
            pattern, least, most = (
                limit.pattern or pattern,
                limit.min_length or least,
                limit.max_length or most,
            )
        pattern = getattr(limit, "pattern", None) or pattern
        if isinstance(limit, MinLen):
            least = limit.min_length
        if isinstance(limit, MaxLen):
            most = limit.max_length
    if any(limit in limits for limit in SelectorText.__metadata__ if isinstance(limit, AfterValidator)):
        return _SELECTORS
    known = _SAMPLES.get(str(pattern))
    if known is not None:
        return known | st.from_regex(str(pattern))
    if pattern is None:
        return (st.sampled_from(_TEXTS) | st.text(min_size=least, max_size=20)).filter(
            lambda text: len(text) >= least
        )
    # `$` also stands before a last line break in Python, and nowhere else in what validates the models.
    made = st.from_regex(str(pattern)).filter(lambda text: not text.endswith("\n"))
    if pattern == DURATION:
        made = (
            st.sampled_from(["500ms", "10s", "5m", "2h", "1d", "1h30m", "0.5s"])
            | st.from_regex(r"\A[0-9]{1,3}(ms|s|m|h)\Z")
            | made
        )
    return made if most is None else made.filter(lambda text: len(text) <= most)
