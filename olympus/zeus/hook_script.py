"""The git hook: hands a push to the running Olympus, prints what it says, and ends as it decides.

It is copied into the repository's `hooks` and run isolated by our interpreter (`-I -S`), where nothing of
Olympus can be imported: standard library only, and few modules of it, because every push waits for it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0
# Where git keeps the pushed objects until the hook agrees; nobody else can see them.
QUARANTINE = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")


def main(hook: str, state: str, packages: str) -> int:
    """hook: pre-receive or post-receive; state: Olympus's state directory; packages: where `olympus` lies."""
    message: dict[str, object] = {
        "hook": hook,
        "refs": [line.split(" ", 2) for line in sys.stdin.read().splitlines() if line],
        "options": _options(),
        "quarantine": {name: os.environ[name] for name in QUARANTINE if name in os.environ},
        "pusher": os.environ.get("REMOTE_USER") or os.environ.get("USER") or "",
    }
    try:
        connection = _connect(Path(state))
    except OSError:
        return _alone(message, state, packages)
    with connection:
        return _ask(connection, message)


def _options() -> list[str]:
    count = int(os.environ.get("GIT_PUSH_OPTION_COUNT") or 0)
    return [os.environ.get(f"GIT_PUSH_OPTION_{number}", "") for number in range(count)]


def _connect(state: Path) -> socket.socket:
    directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_SECONDS)
        # A socket's path may have 107 bytes; through the descriptor, the state directory's may have more.
        connection.connect(f"/proc/self/fd/{directory}/push.sock")
    finally:
        os.close(directory)
    connection.settimeout(ANSWER_SECONDS)
    return connection


def _ask(connection: socket.socket, message: dict[str, object]) -> int:
    try:
        connection.sendall(json.dumps(message).encode() + b"\n")
        with connection.makefile("rb") as answers:
            for raw in answers:
                answer = json.loads(raw)
                if "exit" in answer:
                    return int(answer["exit"])
                _say(str(answer["line"]))
    except (OSError, ValueError) as exc:
        _say(f"no answer: {exc}")
        return 1
    _say("stopped while it was deciding: push again")
    return 1


def _alone(message: dict[str, object], state: str, packages: str) -> int:
    import subprocess  # noqa: PLC0415  # costs 10 ms, and is rarely needed

    starter = "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
    starter += "from olympus.answers.zeus import RulesJudged\n"
    starter += "from olympus.zeus.hook_validate import main; sys.exit(main(RulesJudged()))"
    # Only what finds git and the quarantine: a pusher's PYTHONPATH or GIT_CONFIG_… is nothing to rely on.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-I", "-c", starter, packages, state],
        input=json.dumps(message).encode(),
        env=kept,
        check=False,
    )
    return done.returncode


def _say(line: str) -> None:
    sys.stdout.write(f"olympus: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
