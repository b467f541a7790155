"""Olympus as a process, on the embedded Hermes and on a real Consul."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from olympus.testing.cluster import OlympusProcess


@pytest.fixture(params=["embedded", pytest.param("consul", marks=pytest.mark.consul)])
def hermes(request: pytest.FixtureRequest) -> str:
    """The value of `--hermes`: each test that asks for it runs on both."""
    if request.param == "embedded":
        return "embedded"
    agent = request.getfixturevalue("fresh_consul_agent")
    return f"consul://{agent.address}"


@pytest.fixture
def make_olympus(tmp_path: Path) -> Iterator[Callable[..., OlympusProcess]]:
    """Makes processes that are stopped, and whose services are removed, when the test ends."""
    made: list[OlympusProcess] = []

    def make(name: str = "state", **more: object) -> OlympusProcess:
        process = OlympusProcess(tmp_path / name, **more)
        made.append(process)
        return process

    yield make
    for process in made:
        try:
            process.stop()
        finally:
            # Nothing of a test outlives it.
            process.end_services()


@pytest.fixture
def olympus(make_olympus: Callable[..., OlympusProcess], hermes: str) -> OlympusProcess:
    """One that is ready."""
    process = make_olympus(hermes=hermes)
    process.start()
    return process


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that an unprivileged user may enter, which pytest's is not."""
    with tempfile.TemporaryDirectory(prefix="olympus-kill-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
