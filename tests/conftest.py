"""A real Consul for those that need one; without it they are skipped, loudly, and fail where CI runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from olympus.testing.consul_agent import ConsulAgent, find_consul

# A busy machine is slow; that is no failure of what is tested.
hypothesis.settings.register_profile("olympus", deadline=None)
hypothesis.settings.load_profile("olympus")


@pytest.fixture(scope="session")
def consul_binary() -> str:
    """Where Consul is."""
    found = find_consul()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Consul: CI has to run these tests (make consul)")
        pytest.skip("no Consul: make consul")
    return found


@pytest.fixture(scope="session")
def consul_agent(consul_binary: str) -> Iterator[ConsulAgent]:
    """A dev server for all tests that use keys of their own."""
    with ConsulAgent(consul_binary) as agent:
        yield agent


@pytest.fixture
def fresh_consul_agent(consul_binary: str) -> Iterator[ConsulAgent]:
    """A dev server of the test alone."""
    with ConsulAgent(consul_binary) as agent:
        yield agent


@pytest.fixture
def make_consul(consul_binary: str, tmp_path: Path) -> Iterator[Callable[..., ConsulAgent]]:
    """Servers whose data are on disk, so that they can be killed and started again."""
    made: list[ConsulAgent] = []

    def make(**more: Any) -> ConsulAgent:
        made.append(ConsulAgent(consul_binary, tmp_path / f"consul-{len(made)}", **more))
        made[-1].start()
        return made[-1]

    yield make
    for agent in made:
        agent.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for sign, needed in (
        ("no Consul", "a real Consul (make consul)"),
        ("no Chromium", "a real Chromium (make browser)"),
        ("no hosts", "root, systemd, overlayfs and cgroup2"),
    ):
        skipped = [r for r in terminalreporter.stats.get("skipped", []) if sign in str(r.longrepr)]
        if skipped:
            terminalreporter.write_line(
                f"NOT TESTED: {len(skipped)} tests need {needed} and were skipped", red=True, bold=True
            )
