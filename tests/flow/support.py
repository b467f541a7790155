"""What flow tests share."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def example(name: str) -> dict[str, str]:
    """The files of `examples/NAME`, but its README."""
    root = REPOSITORY / "examples" / name
    return {
        str(file.relative_to(root)): file.read_text()
        for file in sorted(root.rglob("*"))
        if file.is_file() and file.name != "README.md"
    }
