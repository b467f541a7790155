"""The whole program on real hosts: booted systemds with their own network, and one real Consul for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from olympus.testing.lab import Lab, missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.nodeid:
            item.add_marker(pytest.mark.root)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An empty network; what is booted on it goes with the module."""
    why = missing()
    if why is not None:
        pytest.skip(f"no hosts: {why}")
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        yield made
