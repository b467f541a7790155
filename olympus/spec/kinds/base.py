"""What all kinds have in common: strict types, unknown fields refused, camelCase in YAML.

Texts with a meaning (durations, selectors, conditions, templates) stay texts here: the schema knows their form,
`validate` parses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from olympus.spec.duration import PATTERN, parse_duration
from olympus.spec.selector import parse_selector
from olympus.spec.template import Hole, parse

API_VERSION: Final = "olympus/v1"
DNS_LABEL: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
IDENTIFIER: Final = r"^[a-z][a-z0-9_]*$"


def yaml_name(name: str) -> str:
    """As it is written in YAML: `for_` is `for`, `on_failure` is `onFailure`."""
    return to_camel(name.rstrip("_"))


def _refuse_nulls(schema: Any) -> None:
    """A field is left out or has a value: `when:` with nothing behind it is a slip, not "always"."""
    while schema["type"] != "model-fields":
        schema = schema["schema"]
    for field in schema["fields"].values():
        inner = field["schema"]
        if inner["type"] == "default" and inner["schema"]["type"] == "nullable":
            nullable = inner["schema"]
            inner["schema"] = nullable["schema"] | {"serialization": {"type": "any"}}


class Spec(BaseModel):
    """The base of every part of a spec."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=yaml_name,
        validate_by_name=False,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        defer_build=True,
    )

    ONE_OF: ClassVar[tuple[str, ...]] = ()
    """Exactly one of these fields has to be there; the schema says so too."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _refuse_nulls(handler.resolve_ref_schema(schema))
        return schema

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        if cls.ONE_OF:
            handler.resolve_ref_schema(schema)["oneOf"] = [
                {"required": [yaml_name(name)]} for name in cls.ONE_OF
            ]
        return schema

    def to_json(self) -> dict[str, Any]:
        """As it was written: camelCase, without what was left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


WORDS: Final[dict[str, str]] = {}
"""Pattern → what is said of a text that has not its form. Filled by `formed`."""


def formed(pattern: str, words: str, **limits: int) -> StringConstraints:
    """A form of texts, and what is said of those that have it not: `'x y' <words>`."""
    WORDS[pattern] = words
    return StringConstraints(pattern=pattern, max_length=limits.get("max_length"))


RENDERED: Final = object()
"""The context of a validation in which no `${{ }}` is left: what still looks like one came from outside."""


@dataclass(frozen=True, slots=True)
class Holes:
    """Marks a type: a text with `${{ }}` may stand there as well, which is held against the type once rendered."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler(source)
        mixes = _is_text(inner)

        def check(value: Any, or_else: core_schema.ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
            if not isinstance(value, str) or "${{" not in value or info.context is RENDERED:
                return or_else(value)
            pieces = parse(value)
            if not any(isinstance(piece, Hole) for piece in pieces):
                return or_else(value)
            if len(pieces) > 1 and not mixes:
                raise ValueError(f"{value!r} would be a text: only a lone ${{{{ … }}}} keeps its type")
            return value

        return core_schema.with_info_wrap_validator_function(
            check, inner, serialization=core_schema.simple_ser_schema("any")
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        inner: Mapping[str, Any] = core["schema"]
        hole = r"\$\{\{" if _is_text(inner) else r"^\$\{\{[\s\S]*\}\}$"
        return {"anyOf": [handler(inner), {"type": "string", "pattern": hole}]}


def _is_text(schema: Mapping[str, Any]) -> bool:
    """Whether texts are among what a schema accepts."""
    match schema["type"]:
        case "str":
            return True
        case "literal":
            return any(isinstance(one, str) for one in schema["expected"])
        case "union":
            return any(_is_text(one) for one in schema["choices"])
    return "schema" in schema and _is_text(schema["schema"])


T = TypeVar("T")
Templated: TypeAlias = Annotated[T, Holes()]
"""A T, or a text with `${{ }}` that becomes one: `olympus.spec.typed` fills it in."""


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _unit(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit: write {value}s, {value}m or {value}h")
    return value


def _lasting(text: str) -> str:
    if not parse_duration(text):
        raise ValueError(f"{text!r} is no time at all: it has to be longer")
    return text


def port_of(text: str) -> str:
    """The text, if it ends with a port. Raises ValueError."""
    if not 0 < int(text.rpartition(":")[2]) < 65536:
        raise ValueError(f"{text!r} has no port from 1 to 65535")
    return text


def _moment(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no moment: {error}") from error
    return text


def _date(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: {error}") from error
    return text


def _selector(text: str) -> str:
    parse_selector(text)
    return text


Name: TypeAlias = Annotated[
    str,
    formed(DNS_LABEL, "is no name: use a-z, 0-9 and '-', up to 63 characters"),
    Field(description="A DNS label: a-z, 0-9 and '-'."),
]

Identifier: TypeAlias = Annotated[
    str,
    formed(IDENTIFIER, "can't be named in expressions: use a-z, 0-9 and '_', beginning with a letter"),
    Field(description="What expressions name: a-z, 0-9 and '_'."),
]

Duration: TypeAlias = Annotated[
    str,
    formed(PATTERN, "is no duration: write a number with ms, s, m, h or d, as in 10s or 1h30m"),
    AfterValidator(_duration),
    Field(description="A duration: 500ms, 10s, 5m, 2h, 1d or 1h30m."),
    BeforeValidator(_unit),
]

Lasting: TypeAlias = Annotated[Duration, AfterValidator(_lasting)]
"""A duration that is longer than nothing."""

Percentage: TypeAlias = Annotated[
    str,
    formed(r"^(100|[1-9]?[0-9])%$", "is no percentage: write 0% to 100%"),
    Field(description="A percentage: 20%."),
]

Count: TypeAlias = Annotated[int, Field(ge=1)]
CountOrPercentage: TypeAlias = Count | Percentage
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Condition: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000),
    Field(
        description="A condition in JMESPath, without ${{ }}: data.score > 5. A missing path equals nothing."
    ),
]

SelectorText: TypeAlias = Annotated[
    str,
    StringConstraints(max_length=1000),
    AfterValidator(_selector),
    Field(description="A label selector as in Kubernetes: role=web,zone!=c or role in (web,api) or !spot."),
]

EventType: TypeAlias = Annotated[
    str,
    formed(
        r"^[A-Za-z0-9][A-Za-z0-9_.-]*(\*)?$",
        "is no type of events: use letters, digits, '.', '-' and '_', with a '*' at the end for all that begin so",
        max_length=255,
    ),
    Field(description="An event's type, or its beginning with '*'."),
]

EnvName: TypeAlias = Annotated[
    str,
    formed(
        r"^[A-Za-z_][A-Za-z0-9_]*$",
        "is no name for an environment variable: use letters, digits and '_', not beginning with a digit",
    ),
]
HeaderName: TypeAlias = Annotated[
    str, formed(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "is no name of a header: no spaces, no colon")
]
UserName: TypeAlias = Annotated[
    str,
    formed(
        r"^[a-z_][a-z0-9_.-]{0,31}\$?$",
        "is no name of a user or group: use a-z, 0-9, '_', '.' and '-', up to 32 characters",
    ),
]
AbsolutePath: TypeAlias = Annotated[
    str, formed(r"^/[^\x00]*$", "is no absolute path: it has to begin with '/'")
]
RelativePath: TypeAlias = Annotated[
    str,
    formed(r"^[^/\x00][^\x00]*$", "is no relative path: it must not begin with '/', nor be empty"),
]
HostPort: TypeAlias = Annotated[
    str,
    formed(
        r"^(\[[0-9a-fA-F:]+\]|[^:\s\[\]]+):\d{1,5}$", "is no address: write host:port, as in 127.0.0.1:22"
    ),
    AfterValidator(port_of),
]
Json: TypeAlias = Any
Argv: TypeAlias = Annotated[list[str], Field(min_length=1)]
HttpUrl: TypeAlias = Annotated[
    str, formed(r"^(https?://|\$\{\{)", "is no URL: it has to begin with http:// or https://")
]

MomentText: TypeAlias = Annotated[
    str,
    formed(
        r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?$",
        "is no moment: write 2026-12-24T20:00:00, with or without Z or an offset at its end",
    ),
    AfterValidator(_moment),
]

DateText: TypeAlias = Annotated[
    str,
    formed(r"^\d{4}-\d\d-\d\d$", "is no date: write 2027-01-31"),
    AfterValidator(_date),
]


class Nodes(Spec):
    """Which nodes: those that the selector names."""

    selector: SelectorText = ""


def exactly_one(owner: object, names: tuple[str, ...], what: str) -> None:
    """Raises ValueError unless exactly one of the fields is there."""
    given = [name for name in names if getattr(owner, name) is not None]
    if len(given) == 1:
        return
    shown = ", ".join(yaml_name(name) for name in names)
    if not given:
        raise ValueError(f"{what} needs exactly one of {shown}")
    both = " and ".join(yaml_name(name) for name in given)
    raise ValueError(f"{what} has {both}: exactly one of {shown} is allowed")
