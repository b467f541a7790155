"""LogWatch: which lines are worth remarking."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from olympus.spec.kinds.base import (
    AbsolutePath,
    Count,
    Duration,
    Identifier,
    Lasting,
    Name,
    Nodes,
    Spec,
    Text,
    exactly_one,
    formed,
    port_of,
)


class Journal(Spec):
    units: list[Text] = Field(default_factory=list)


GroupType: TypeAlias = Literal["ip", "int", "float", "user", "host", "word", "port", "path"]

Listen: TypeAlias = Annotated[
    str,
    formed(r"^(udp|tcp|tls)://.+:\d{1,5}$", "is no address: write udp://0.0.0.0:5514, or tcp:// or tls://"),
    AfterValidator(port_of),
]


class Syslog(Spec):
    """cert, key: files of the node, for tls://; clients: of the authorities that must have certified who sends."""

    listen: Listen
    cert: AbsolutePath | None = None
    key: AbsolutePath | None = None
    clients: AbsolutePath | None = None

    @model_validator(mode="after")
    def _secured(self) -> Self:
        given = [name for name in ("cert", "key", "clients") if getattr(self, name) is not None]
        if not self.listen.startswith("tls://"):
            if given:
                raise ValueError(f"{given[0]}: only tls:// has it")
        elif self.cert is None or self.key is None:
            raise ValueError(f"{self.listen} needs cert and key: files on the node, in PEM")
        return self


def _encoding(text: str) -> str:
    """The text, if lines in that encoding end as in ASCII. Raises ValueError."""
    ascii_ = bytes(range(128))
    try:
        alike = ascii_.decode(text).encode() == ascii_
    except LookupError:
        raise ValueError(
            f"there is no encoding {text!r}: write latin-1, cp1252 or another of Python's"
        ) from None
    except UnicodeError:
        alike = False
    if not alike:
        raise ValueError(f"{text!r} is no encoding in which ASCII stays as it is, so that lines can be read")
    return text


Encoding: TypeAlias = Annotated[str, AfterValidator(_encoding)]


class Source(Spec):
    """Exactly one of files, journal, syslog and service. encoding: of files that are not in UTF-8."""

    ONE_OF: ClassVar = ("files", "journal", "syslog", "service")

    files: Annotated[list[AbsolutePath], Field(min_length=1)] | None = None
    journal: Journal | None = None
    syslog: Syslog | None = None
    service: Name | None = None
    from_: Literal["end", "beginning"] = "end"
    encoding: Encoding | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "source")
        if self.encoding is not None and self.files is None:
            raise ValueError("encoding: only files have it")
        return self


class Multiline(Spec):
    """How lines join into one record."""

    ONE_OF: ClassVar = ("start", "end", "continuation")

    start: Text | None = None
    end: Text | None = None
    continuation: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "multiline")
        return self


class Threshold(Spec):
    count: Count
    within: Lasting
    by: list[Text] = Field(default_factory=list)


class Rate(Spec):
    """So many events are told within the time; how many lines were held back is told once at its end."""

    count: Count
    within: Lasting


class Absent(Spec):
    """A line that should come and does not."""

    pattern: Text
    within: Lasting


class Match(Spec):
    """Exactly one of pattern and absent."""

    ONE_OF: ClassVar = ("pattern", "absent")

    name: Name
    pattern: Text | None = None
    absent: Absent | None = None
    types: dict[Identifier, GroupType] = Field(default_factory=dict)
    severity: Literal["debug", "info", "warning", "error", "critical"] = "info"
    threshold: Threshold | None = None
    suppress: Duration | None = None
    """After an event, none for so long: by what `by` says, else by what the threshold counts by, else at all."""
    by: Annotated[list[Text], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, f"match '{self.name}'")
        return self


class LogWatchSpec(Spec):
    """On every node, unless `nodes` says otherwise."""

    nodes: Nodes = Nodes()
    source: Source
    multiline: Multiline | None = None
    rate: Rate | None = None
    match: Annotated[list[Match], Field(min_length=1)]
