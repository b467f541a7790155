"""The editor of specs: the file in which a document stands, or a new one; planned first, then a commit."""

from __future__ import annotations

from typing import Final

from olympus.apollo.pages.page import Asked, Page, Values
from olympus.apollo.pages.reader import PLURAL
from olympus.kernel.errors import OlympusError


async def edit(asked: Asked) -> Values:
    """Of what is not there yet: the beginning of a file."""
    kind, name = asked.params["kind"], asked.params["name"]
    if kind not in PLURAL:
        return None
    try:
        sources = await asked.reader.around.zeus.sources(kind)
    except OlympusError as error:
        return {
            "kind": kind,
            "name": name,
            "trouble": str(error),
            "file": "",
            "text": "",
            "base": "",
            "fresh": True,
        }
    found = sources.catalog.get(kind, name)
    fresh = f"apiVersion: olympus/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  "
    return {
        "kind": kind,
        "name": name,
        "trouble": "",
        "file": found.file if found else f"{PLURAL[kind]}/{name}.yaml",
        "text": sources.files.get(found.file, "") if found else fresh,
        "base": sources.revision,
        "fresh": found is None,
    }


SPECS: Final = (Page("/spec-edit/{kind}/{name}", "spec_edit.html", edit, (), "admin"),)
