"""`olympus validate PATH…`: every error in one pass, with file:line:col; needs no server."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from olympus.cli.output import Subparsers, add_output, emit


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("validate", help="every error of specs, with its place; needs no server")
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a folder, as a whole, or single files")
    parser.add_argument("--schema-only", action="store_true", help="each document by itself: no references")
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from olympus.spec.tree import DirectoryTree  # noqa: PLC0415 - takes a while to import
    from olympus.spec.validate import validate_documents, validate_tree  # noqa: PLC0415

    # This process lives for one pass: looking for garbage would cost it a quarter of its time.
    gc.disable()
    found, files, resources = [], 0, 0
    for text in args.paths:
        path = Path(text)
        tree = DirectoryTree(path)
        report = validate_documents(tree) if args.schema_only else validate_tree(tree)
        prefix = path if path.is_dir() else path.parent
        for one in report.diagnostics:
            shown = str(prefix / one.file)
            found.append({"file": shown, "line": one.line, "column": one.column, "message": one.message})
            place = f"{shown}:{one.line}:{one.column}" if one.line else shown
            print(f"{place}: {one.message}", file=sys.stderr)
        files += report.spec_files
        resources += len(report.catalog.resources) if report.catalog else 0

    def people() -> None:
        if not found:
            print(f"ok: {resources} resources in {files} files")
        else:
            print(f"{len(found)} errors in {files} files", file=sys.stderr)

    emit(args, {"valid": not found, "items": found}, people)
    return 2 if found else 0
