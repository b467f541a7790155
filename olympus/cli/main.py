"""The entry of `olympus`: finds the command, runs it, turns errors into exit codes.

0 done, 1 failed, 2 misused or invalid, 3 unreachable.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Final, NoReturn

from olympus.kernel.errors import Invalid, OlympusError, RetryLater

_PLACES: Final[dict[str, str]] = {
    "up": "up.register",
    "init": "admin.register_init",
    "validate": "validate.register",
    "plan": "zeus.register",
    "get": "get.register",
    "describe": "get.register_describe",
    "status": "get.register_status",
    "run": "runs.register",
    "runs": "runs.register_runs",
    "logs": "runs.register_logs",
    "cancel": "runs.register_steering",
    "retry": "runs.register_steering",
    "approve": "runs.register_approve",
    "render": "runs.register_render",
    "restart": "zeus.register_orders",
    "suspend": "zeus.register_orders",
    "resume": "zeus.register_orders",
    "node": "zeus.register_node",
    "sync": "zeus.register_sync",
    "rollback": "zeus.register_sync",
    "events": "events.register",
    "emit": "events.register_emit",
    "eval": "events.register_eval",
    "replay": "replay.register",
    "test": "test.register",
    "match": "match.register",
    "explain": "explain.register",
    "ack": "incidents.register_ack",
    "silence": "incidents.register_silence",
    "schedule": "admin.register",
    "token": "admin.register_token",
    "user": "users.register",
    "audit": "admin.register_audit",
    "doctor": "doctor.register",
    "schema": "admin.register_schema",
    "version": "admin.register_version",
    "completion": "admin.register_completion",
}
"""Command → the module of this package that has it, and the function that tells argparse of it."""

COMMANDS: Final = tuple(_PLACES)

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
    places = [_PLACES[wanted]] if wanted in _PLACES else list(dict.fromkeys(_PLACES.values()))
    for place in places:
        module, _, function = place.partition(".")
        getattr(importlib.import_module(f"olympus.cli.{module}"), function)(subparsers)
    return parser


def run_main() -> NoReturn:
    sys.exit(main())


if __name__ == "__main__":
    run_main()
