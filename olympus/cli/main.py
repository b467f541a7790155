"""The entry of `olympus`: finds the command, runs it, turns errors into exit codes.

0 done, 1 failed, 2 misused or invalid, 3 unreachable.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Final, NoReturn

from olympus.kernel.errors import Invalid, OlympusError, RetryLater

COMMANDS: Final = ("up", "validate")
"""Modules of this package, in the order of the help."""

EXIT_FAILED: Final = 1
EXIT_INVALID: Final = 2
EXIT_UNREACHABLE: Final = 3


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    words = sys.argv[1:] if argv is None else argv
    args = _parser(words).parse_args(words)
    try:
        return int(args.run(args))
    except Invalid as error:
        for diagnostic in error.diagnostics:
            print(diagnostic, file=sys.stderr)
        if not error.diagnostics:
            print(f"olympus: {error}", file=sys.stderr)
        return EXIT_INVALID
    except RetryLater as error:
        print(f"olympus: {error}", file=sys.stderr)
        return EXIT_UNREACHABLE
    except OlympusError as error:
        print(f"olympus: {error}", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        # Whoever read us has seen enough: head, less.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="olympus",
        description="Keeps a Linux cluster as its specs in git declare it.",
        epilog="State lies in $OLYMPUS_STATE, else in $XDG_STATE_HOME/olympus, else in ~/.local/state/olympus.",
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    wanted = next((word for word in words if not word.startswith("-")), None)
    # Only the module of the command that is given is imported: help alone needs them all.
    for name in COMMANDS:
        module = MODULES.get(name, name)
        if wanted is None or wanted == name or wanted not in COMMANDS:
            importlib.import_module(f"olympus.cli.{module}").register(subparsers)
    return parser


MODULES: Final[dict[str, str]] = {}
"""Where a command's module has another name than the command."""


def run_main() -> NoReturn:
    sys.exit(main())


if __name__ == "__main__":
    run_main()
