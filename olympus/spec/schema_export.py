"""Writes `schemas/`: one file per kind, `olympus.json` for editors, `events/` for events' data.

`python -m olympus.spec.schema_export [FOLDER]` writes; with `--check` it only says what differs (exit 1).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from olympus.spec.event_data import EVENT_DATA
from olympus.spec.kinds import KINDS
from olympus.spec.schemas import any_kind_schema, event_schema, file_name, kind_schema, schema_folder


def exported() -> dict[str, bytes]:
    """Every file: its path in the folder → its content."""
    files: dict[str, dict[str, Any]] = {file_name(kind): kind_schema(kind) for kind in KINDS}
    files["olympus.json"] = any_kind_schema()
    files |= {f"events/{name}.json": event_schema(name) for name in EVENT_DATA}
    return {name: _text(schema) for name, schema in sorted(files.items())}


def _text(schema: dict[str, Any]) -> bytes:
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()


def write(folder: Path) -> list[str]:
    """Write what differs and remove what is no schema of ours any more; the paths that changed."""
    changed = differing(folder)
    wanted = exported()
    for name in changed:
        path = folder / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[name])
        else:
            path.unlink()
    return changed


def differing(folder: Path) -> list[str]:
    """Paths in the folder that are missing, too many, or not what the models say."""
    wanted = exported()
    there = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def main(arguments: list[str]) -> int:
    """The command; its exit code."""
    checks = "--check" in arguments
    folders = [one for one in arguments if not one.startswith("-")]
    folder = Path(folders[0]) if folders else schema_folder()
    changed = differing(folder) if checks else write(folder)
    for name in changed:
        sys.stdout.write(
            f"{folder.name}/{name}: {'is not up to date: make schemas' if checks else 'written'}\n"
        )
    return 1 if checks and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
