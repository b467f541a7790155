"""The whole program on real hosts: booted systemds with their own network, and one real Consul for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from olympus.testing.consul_agent import ConsulAgent
from olympus.testing.lab import Lab, missing
from tests.cluster.support import Cluster, OlympusOnHost


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.nodeid:
            item.add_marker(pytest.mark.root)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What the hosts' journals say goes with a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name in ("olympus", "whole_cluster"):
            known = item.funcargs.get(name)
            for one in getattr(known, "hosts", {"": known}).values():
                if isinstance(one, OlympusOnHost):
                    report.sections.append((f"journal of {one.host.name}", one.log()[-6000:]))


@pytest.fixture(scope="session", autouse=True)
def _can_be_done() -> None:
    why = missing()
    if why is not None:
        pytest.skip(f"no hosts: {why}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An empty network; what is booted on it goes with the module."""
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture(scope="module")
def whole_cluster(consul_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three hosts in two zones, each with its own Consul agent; the Consul server is beside them."""
    with (
        Lab(tmp_path_factory.mktemp("lab"), bind=[Path(consul_binary).parent]) as lab,
        ConsulAgent(consul_binary, host=lab.gateway) as consul,
    ):
        cluster = Cluster(lab, consul, consul_binary)
        cluster.up("n1", "n2", "n3")
        yield cluster


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Cluster:
    """All of its hosts are well, and nothing is declared but the hosts."""
    whole_cluster.mend()
    return whole_cluster
