"""JSON Schemas (draft 2020-12) of the kinds and of events' data, made from the models; and what they find wrong.

`schema_export` writes them to files for editors and other programs; `parse` asks them here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from olympus.spec.event_data import EVENT_DATA
from olympus.spec.kinds import API_VERSION, KINDS
from olympus.spec.kinds.metadata import Metadata
from olympus.spec.loader import Path

if TYPE_CHECKING:
    from olympus.spec.draft_jsonschema import KindSchema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Without what says nothing: titles of fields, and `default: null` where null is no value."""

    schema_dialect = DIALECT

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made["additionalProperties"] = False
        return made


@lru_cache(maxsize=64)
def kind_schema(kind: str) -> dict[str, Any]:
    """Of a whole document of that kind. Not to be changed."""
    spec = KINDS[kind].model_json_schema(by_alias=True, schema_generator=_Generator)
    metadata = Metadata.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = spec.pop("$defs", {}) | metadata.pop("$defs", {})
    description = spec.pop("description", "")
    return {
        "$schema": DIALECT,
        "title": kind,
        "description": description,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": metadata,
            "spec": spec,
        },
        "$defs": definitions,
    }


def event_schema(event_type: str) -> dict[str, Any]:
    """Of the `data` of one of Olympus's own event types."""
    made = EVENT_DATA[event_type].model_json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": DIALECT} | made | {"title": event_type}


def file_name(kind: str) -> str:
    """`LogWatch` → `logwatch.json`."""
    return f"{kind.lower()}.json"


def any_kind_schema() -> dict[str, Any]:
    """Of a document of any kind, for editors: refers to the other files beside it."""
    return {
        "$schema": DIALECT,
        "title": "Olympus",
        "description": "A document of Olympus's specs.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "oneOf": [{"$ref": file_name(kind)} for kind in KINDS],
    }


def schema_folder() -> FilePath:
    """Where the generated files are: inside an installed package, or beside it in a checkout."""
    package = FilePath(__file__).resolve().parent.parent
    installed = package / "_data" / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"


@dataclass(frozen=True, slots=True)
class Flaw:
    """One error of a schema. `given`: the wrong value; `rule`: the keyword's value; `schema`: what it stands in."""

    path: Path
    keyword: str
    given: Any
    rule: Any
    schema: Any
    message: str

    @property
    def excludes(self) -> bool:
        """Whether none or more than one of exclusive fields are there."""
        return self.keyword == "oneOf" and is_exclusion(self.rule)


@lru_cache(maxsize=64)
def _validator(kind: str) -> KindSchema:
    draft: Any = importlib.import_module("olympus.spec.draft_jsonschema")
    made: KindSchema = draft.KindSchema(kind_schema(kind))
    return made


def flaws(kind: str, document: Any) -> Iterator[Flaw]:
    """All that the schema of `kind` finds in a document; of a union, what its nearest branch says."""
    for error in _validator(kind).errors(document):
        yield Flaw(
            tuple(error.absolute_path),
            str(error.validator),
            error.instance,
            error.validator_value,
            error.schema,
            error.message,
        )


def is_exclusion(rule: Any) -> bool:
    """Whether a `oneOf` says that exactly one of some fields has to be there."""
    return isinstance(rule, list) and all(set(one) == {"required"} for one in rule)
