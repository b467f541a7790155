"""10,000 notes: found, read and saved over HTTP, told of; beside git itself on a clone of them, in the same run."""

from __future__ import annotations

import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from olympus.testing.cluster import OlympusProcess, eventually
from tests.bench.aims import Aim

NOTES = 10_000
WORDS = 4_000
ASKED = 100
SAVED = 40


def git(*words: object, cwd: Path) -> None:
    who = ("-c", "user.name=b", "-c", "user.email=b@b")
    subprocess.run(["git", *who, *map(str, words)], cwd=cwd, check=True, capture_output=True)


def vocabulary(chance: random.Random) -> list[str]:
    letters = "abcdefghijklmnoprstuvz"
    return ["".join(chance.choices(letters, k=chance.randint(4, 11))) for _ in range(WORDS)]


def write(clone: Path, words: Sequence[str], chance: random.Random) -> None:
    for number in range(NOTES):
        file = clone / f"team{number % 50}/note{number}.md"
        file.parent.mkdir(exist_ok=True)
        text = " ".join(chance.choices(words, k=120))
        file.write_text(
            f"---\ntags: [t{number % 30}]\n---\n# Note {number}\n\n{text}\n\n[[note{number // 2}]]\n"
        )


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[18] * 1000


def timed(times: list[float], do: Callable[[], object]) -> None:
    begun = time.perf_counter()
    do()
    times.append(time.perf_counter() - begun)


def mistyped(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def main() -> list[Aim]:
    chance = random.Random(7)
    words = vocabulary(chance)
    with tempfile.TemporaryDirectory() as folder:
        olympus = OlympusProcess(Path(folder) / "state", node="local")
        olympus.start()
        clone = Path(folder) / "clone"
        git("clone", "-q", olympus.state / "notes.git", clone, cwd=Path(folder))
        write(clone, words, chance)
        git("add", ".", cwd=clone)
        git("commit", "-qm", "many", cwd=clone)
        begun = time.perf_counter()
        git("push", "-q", "origin", "HEAD:main", cwd=clone)
        eventually(lambda: olympus.get("/api/v1/notes?limit=1")["items"], within=120, what="there")
        indexed = time.perf_counter() - begun

        def all_told() -> bool:
            cursor, count = "", 0
            while True:
                page = olympus.get(f"/api/v1/events?type=olympus.apollo.note-changed&limit=1000{cursor}")
                count += len(page["items"])
                if page["next"] is None:
                    return count >= NOTES
                cursor = f"&cursor={page['next']}"

        def told(count: int) -> bool:
            found = olympus.events("type=olympus.apollo.note-changed&limit=1000")
            return len([one for one in found if one["data"]["actor"] != "b"]) >= count

        # All of it is told, so that what is measured then has the machine to itself.
        eventually(all_told, within=300, what="told of the large push")
        find: list[float] = []
        near: list[float] = []
        read: list[float] = []
        save: list[float] = []
        commit: list[float] = []
        tell: list[float] = []
        for number in range(ASKED):
            word, other = chance.choice(words), mistyped(chance.choice(words), chance)
            timed(find, lambda word=word: olympus.get(f"/api/v1/search?q={word}"))
            timed(near, lambda other=other: olympus.get(f"/api/v1/search?q={other}"))
            path = f"/api/v1/notes/team{number % 50}/note{number}"
            timed(read, lambda path=path: olympus.get(path))
        for number in range(SAVED):
            body = {"markdown": f"# New {number}\n"}
            timed(save, lambda body=body, n=number: olympus.ask("PUT", f"/api/v1/notes/new/{n}", body))
            (clone / f"new{number}.md").write_text("# New\n")

            def plainly(number: int = number) -> None:
                git("add", f"new{number}.md", cwd=clone)
                git("commit", "-qm", "one", cwd=clone)

            timed(commit, plainly)
        eventually(lambda: told(SAVED), within=60, what="told")
        for number in range(5):
            olympus.ask("PUT", f"/api/v1/notes/told/{number}", {"markdown": "x\n"})
            timed(tell, lambda n=number: eventually(lambda: told(SAVED + n + 1), what="told"))
        olympus.stop()
    print(f"{NOTES} notes pushed, indexed and listed in {indexed:.1f} s")
    print(
        f"p95 ms: search {p95(find):.1f}, mistyped {p95(near):.1f}, read {p95(read):.1f}, save {p95(save):.1f}"
    )
    print(
        f"p95 ms: git add and commit in a clone {p95(commit):.1f}; a change is told within {max(tell):.2f} s"
    )
    return [
        Aim(f"{NOTES:,} notes: search, p95", p95(find), "ms", 100),
        Aim(f"{NOTES:,} notes: search of a mistyped word, p95", p95(near), "ms", 100),
        Aim(f"{NOTES:,} notes: read one, p95", p95(read), "ms", 100),
        Aim(f"{NOTES:,} notes: save one, p95, beside git commit", p95(save), "ms", 3, reference=p95(commit)),
        Aim("a note's change: told after", max(tell), "s", 2),
    ]


if __name__ == "__main__":
    main()
