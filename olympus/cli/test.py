"""`olympus test PATH…`: the RuleTests of specs, on a virtual clock; needs no server."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import Any

from olympus.cli.output import Subparsers, add_output, emit, visible


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("test", help="do rules what their RuleTests expect? needs no server")
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a folder, as a whole, or single files")
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from olympus.athena.rule_tests import RuleTests  # noqa: PLC0415 - takes a while to import
    from olympus.spec.tree import DirectoryTree  # noqa: PLC0415
    from olympus.spec.validate import placed, validate_tree  # noqa: PLC0415

    gc.disable()
    items: list[dict[str, Any]] = []
    coverage: list[dict[str, Any]] = []
    invalid = False
    for text in args.paths:
        path = Path(text)
        prefix = path if path.is_dir() else path.parent
        tree = DirectoryTree(path)
        report = validate_tree(tree)
        for one in report.diagnostics:
            invalid = True
            place = f"{prefix / one.file}:{one.line}:{one.column}" if one.line else str(prefix / one.file)
            print(f"{place}: {one.message}", file=sys.stderr)
        if report.catalog is None:
            continue
        played = RuleTests().play(report.catalog)
        for tested in played.results:
            found = [placed(tree, tested.test, one.path, one.message) for one in tested.failures]
            items.append(
                {
                    "name": tested.test.name,
                    "rule": tested.test.spec.rule,
                    "passed": not found,
                    "failures": [
                        {
                            "file": str(prefix / one.file),
                            "line": one.line,
                            "column": one.column,
                            "message": one.message,
                        }
                        for one in found
                    ],
                }
            )
        for rule, seen in sorted(played.coverage.items()):
            lacking = [{"where": at, "clause": clause, "lacks": word} for at, clause, word in seen.lacking]
            coverage.append({"rule": rule, "clauses": len(seen.seen), "lacking": lacking})
    if invalid:
        # What can't be read as a whole was not tested.
        return 2
    emit(args, {"items": items, "coverage": coverage}, lambda: _tell(items, coverage))
    return 0 if all(one["passed"] for one in items) else 1


def _tell(items: list[dict[str, Any]], coverage: list[dict[str, Any]]) -> None:
    for one in items:
        print(f"{'pass' if one['passed'] else 'FAIL'}  {one['name']} (rule {one['rule']})")
        for failure in one["failures"]:
            place = f"{failure['file']}:{failure['line']}:{failure['column']}"
            print(f"      {place}: {visible(failure['message'])}")
    failed = sum(not one["passed"] for one in items)
    print(f"{len(items)} rule tests, {failed} failed")
    tested = {one["rule"] for one in items}
    for one in coverage:
        both = one["clauses"] - len(one["lacking"])
        print(f"rule {one['rule']}: {both} of {one['clauses']} clauses were seen true and false", end="")
        print("" if one["rule"] in tested else "; it has no test")
        for lack in one["lacking"]:
            print(f"      {lack['lacks']}: {lack['where']}: {visible(lack['clause'])}")
