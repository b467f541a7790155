"""`olympus match PATTERN FILE…`: tries a LogWatch's pattern on files; needs no server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast, get_args

from olympus.cli.output import Subparsers, add_output, emit, visible
from olympus.kernel.diagnostics import did_you_mean
from olympus.kernel.errors import Invalid

if TYPE_CHECKING:
    from olympus.argos.trial import Example, Trial
    from olympus.argos.unmatched import Unmatched
    from olympus.spec.kinds.logwatch import Match

_MATCHES, _NONE = 0, 1
_STDIN: Final = "-"


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "match",
        help="try a LogWatch's pattern on files",
        epilog="Exit code: 0 lines match, 1 none does, 2 the pattern or a file is wrong.",
    )
    parser.add_argument(
        "pattern", metavar="PATTERN", help="as in a LogWatch: RE2's syntax, (?P<name>…) for groups"
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="also packed by gzip; - is standard input")
    parser.add_argument(
        "--types", metavar="GROUP=TYPE,…", action="append", default=[], help="as ip=ip,user=user,port=port"
    )
    parser.add_argument("-n", type=_count, default=5, metavar="N", help="how many lines are shown (5)")
    parser.add_argument(
        "--unmatched",
        type=_count,
        default=0,
        metavar="N",
        help="N shapes of the lines that do not match, commonest first",
    )
    add_output(parser)
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _run(args: argparse.Namespace) -> int:
    from olympus.argos.trial import Trying  # noqa: PLC0415 - takes a while to import
    from olympus.argos.unmatched import SHAPES, Unmatched  # noqa: PLC0415

    match = _match(args.pattern, args.types)
    unmatched = Unmatched(max(SHAPES, args.unmatched)) if args.unmatched else None
    trying = Trying(match, examples=args.n, unmatched=unmatched)
    for name in args.files:
        try:
            if name == _STDIN:
                trying.read(name, sys.stdin.buffer)
            else:
                with Path(name).open("rb") as file:
                    trying.read(name, cast(BinaryIO, file))
        except OSError as exc:
            raise Invalid(f"{name}: {exc.strerror or exc}") from exc
    found = trying.found
    emit(args, _json(found, unmatched, args.unmatched), lambda: _people(found, unmatched, args.unmatched))
    return _MATCHES if found.matched else _NONE


def _match(pattern: str, types: Sequence[str]) -> Match:
    from olympus.spec.kinds.logwatch import GroupType, Match  # noqa: PLC0415
    from olympus.spec.pattern_errors import error_of  # noqa: PLC0415
    from olympus.spec.regex import group_names  # noqa: PLC0415

    wrong = error_of(pattern)
    if wrong is not None:
        under = f"  {visible(pattern)}\n  {' ' * (wrong.column - 1)}^"
        hint = f": {wrong.hint}" if wrong.hint else ""
        raise Invalid(f"pattern, column {wrong.column}: {wrong.reason}{hint}\n{under}")
    groups, kinds = sorted(group_names(pattern)), get_args(GroupType)
    told: dict[str, Any] = {}
    for one in (one for several in types for one in several.split(",")):
        name, equals, kind = one.partition("=")
        if not equals:
            raise Invalid(f"--types {one}: write GROUP=TYPE, as ip=ip")
        if name not in groups:
            there = (
                did_you_mean(name, groups)
                or f": its groups are {', '.join(groups) or 'none: write (?P<name>…)'}"
            )
            raise Invalid(f"--types {one}: the pattern has no group '{name}'{there}")
        if kind not in kinds:
            near = did_you_mean(kind, kinds) or f": there are {', '.join(kinds)}"
            raise Invalid(f"--types {one}: there is no type '{kind}'{near}")
        told[name] = kind
    return Match(name="tried", pattern=pattern, types=told)


def _json(found: Trial, unmatched: Unmatched | None, most: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "lines": found.lines,
        "bytes": found.bytes,
        "matched": found.matched,
        "refused": found.refused,
        "cut": found.cut,
        "seconds": round(found.seconds, 6),
        "linesPerSecond": round(found.lines / found.seconds) if found.seconds else None,
        "files": found.files,
        "samples": [asdict(one) for one in (*found.examples, *found.refusals)],
    }
    if unmatched is not None:
        shown["unmatched"] = {
            "lines": unmatched.lines,
            "samples": [{"line": one.line, "count": one.count} for one in unmatched.samples(most)],
        }
    return shown


def _people(found: Trial, unmatched: Unmatched | None, most: int) -> None:
    share = f" ({found.matched / found.lines:.1%})" if found.lines else ""
    print(f"{found.matched:,} of {found.lines:,} lines match{share}")
    if len(found.files) > 1:
        for name, count in found.files.items():
            print(f"  {visible(name)}: {count:,}")
    if found.refused:
        print(f"{found.refused:,} more are refused, for what their groups are")
    if found.cut:
        print(f"{found.cut:,} are longer than a line may be, and were cut")
    if found.seconds:
        rate = found.lines / found.seconds
        print(f"{found.bytes / 1e6:,.1f} MB in {found.seconds:.2f} s: {rate:,.0f} lines/s, on one core")
    for title, examples in (("match", found.examples), ("refused", found.refusals)):
        if examples:
            print(f"\n{title}:")
        for one in examples:
            _example(one)
    if unmatched is not None:
        print(f"\ndo not match ({unmatched.lines:,} lines; times, and the last line of each shape):")
        for sample in unmatched.samples(most):
            print(f"  {sample.count:>8,}  {visible(sample.line)}")


def _example(one: Example) -> None:
    print(f"  {visible(one.file)}:{one.number}: {visible(one.line)}")
    if one.refused:
        print(f"      {visible(one.refused)}")
    elif one.groups:
        print("      " + "  ".join(f"{name}={visible(repr(value))}" for name, value in one.groups.items()))
