"""What measurements are held to, as one table at the end of `make bench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """measured and reference have the same unit. With a reference, `limit` is one of their ratio.

    at_least: more is better; else less is.
    """

    name: str
    measured: float
    unit: str
    limit: float
    reference: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        return None if self.reference is None else self.measured / self.reference

    @property
    def met(self) -> bool:
        value = self.measured if self.ratio is None else self.ratio
        return value >= self.limit if self.at_least else value <= self.limit


def table(aims: Sequence[Aim]) -> str:
    """A row each, in Markdown, so that it can stand in docs/."""
    rows = [("what", "measured", "reference", "ratio", "aim", "met")]
    for aim in aims:
        sign = "≥" if aim.at_least else "≤"
        rows.append(
            (
                aim.name,
                f"{_number(aim.measured)} {aim.unit}",
                "" if aim.reference is None else f"{_number(aim.reference)} {aim.unit}",
                "" if aim.ratio is None else f"{aim.ratio:.2f}",
                f"{sign} {_number(aim.limit)}{'' if aim.ratio is not None else ' ' + aim.unit}",
                "yes" if aim.met else "NO",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in rows
    ]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.2f}"
