"""One file over its rotations: whenever it is read, and wherever the reader is killed, each line is read once.

OLYMPUS_SEEDS=300 for many, OLYMPUS_SEED=N for one that failed.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from olympus.argos.followed import Followed, Taken, parts_of
from olympus.argos.ports import Place
from tests.unit.argos.rotations import KEPT, ROTATIONS, Rotation

SEED = int(os.environ.get("OLYMPUS_SEED", "0"))
SEEDS = int(os.environ.get("OLYMPUS_SEEDS", "6"))


class Killed(Exception):
    """Between two steps of the reader."""


class Reader:
    """What a watcher does with what it is given, with a chance to be killed between any two steps."""

    def __init__(self, log: Path, chance: random.Random) -> None:
        self.log, self.chance = log, chance
        self.places: dict[tuple[str, str], Place] = {}
        self.told: dict[str, int] = {}
        self.lines: list[str] = []
        self.lost: list[str] = []
        self.kills = 0
        self.deadly = 0.0
        first = self.begun()
        for place in first.begin_at_end(0):
            self.places[place.stream, place.part] = place
        self.followed: Followed | None = first

    def begun(self) -> Followed:
        return Followed(str(self.log), lambda _path: False, parts_of(list(self.places.values())))

    def may_die(self) -> None:
        if self.chance.random() < self.deadly:
            raise Killed

    def look(self, now: int, *, all_of_it: bool = False) -> None:
        """Some batches, or until there is no more, over all kills."""
        for _ in range(1000 if all_of_it else self.chance.randrange(1, 4)):
            if self.followed is None:
                self.followed = self.begun()
            try:
                if not self._batch(now):
                    return
            except Killed:
                self.kill()

    def kill(self) -> None:
        self.kills += 1
        if self.followed is not None:
            self.followed.close()
        self.followed = None

    def _batch(self, now: int) -> bool:
        """Whether there is more."""
        taken = Taken()
        if self.chance.random() < 0.3:
            self.followed.look_anew()
        more = self.followed.changed()
        for _ in range(self.chance.randrange(1, 4)):
            more = self.followed.read(taken, now)
            if not more:
                break
        self.may_die()
        self.places |= taken.opened
        self.may_die()
        self.lost += [lost.reason for lost in taken.lost]
        for chunk in taken.chunks:
            offset = chunk.offset
            for line in chunk.text.splitlines(keepends=True):
                if offset > self.told.get(chunk.part, -1):
                    self.lines.append(line.decode().strip())
                    self.told[chunk.part] = offset
                offset += len(line)
        self.may_die()
        self.places |= taken.places
        for key in taken.closed:
            self.places.pop(key, None)
        return more


def play(rotate: Rotation, seed: int, folder: Path, rotations: int = 60) -> Reader:
    """Random writes, looks, rotations and kills. Never away for longer than rotations are kept."""
    chance = random.Random(seed)
    log = folder / f"{rotate.__name__}-{seed}" / "app.log"
    log.parent.mkdir()
    log.touch()
    now = 1_700_000_000_000_000_000
    os.utime(log, ns=(now, now))
    reader = Reader(log, chance)
    written: list[str] = []
    missed = 0

    def pass_by() -> None:
        nonlocal now
        now += chance.randrange(100_000_000, 5_000_000_000)

    def write() -> None:
        pass_by()
        lines = [f"{len(written) + i}: {chance.random()}" for i in range(chance.randrange(0, 20))]
        with log.open("a") as file:
            file.write("".join(line + "\n" for line in lines))
        os.utime(log, ns=(now, now))
        written.extend(lines)

    for number in range(1, rotations + 1):
        reader.deadly = chance.choice((0.0, 0.0, 0.3))
        for _ in range(chance.randrange(0, 3)):
            write()
            if chance.random() < 0.5:
                reader.look(now)
        if not log.exists():
            write()
        awake = chance.random() < 0.5
        for _ in rotate(log, number):
            pass_by()
            if awake and chance.random() < 0.3:
                reader.look(now)
        missed += 1
        if chance.random() < 0.8 or missed > KEPT - 4:
            pass_by()
            log.touch()
            os.utime(log, ns=(now, now))
        if missed > KEPT - 4:
            reader.deadly = 0.0
            reader.look(now, all_of_it=True)
            missed = 0
        if chance.random() < 0.2:
            reader.kill()
    write()
    reader.deadly = 0.0
    reader.look(now, all_of_it=True)
    reader.followed.close()
    assert reader.lost == []
    assert sorted(reader.lines, key=lambda line: int(line.split(":")[0])) == written
    return reader


@pytest.mark.timeout(120 + 10 * SEEDS)
@pytest.mark.parametrize("rotate", ROTATIONS, ids=lambda one: one.__name__)
def test_each_line_is_read_once(rotate: Rotation, tmp_path: Path) -> None:
    seeds = [SEED] if SEED else range(1, SEEDS + 1)
    kills = 0
    for seed in seeds:
        try:
            kills += play(rotate, seed, tmp_path).kills
        except BaseException:
            print(f"OLYMPUS_SEED={seed}")
            raise
    assert kills > 0
