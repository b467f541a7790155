"""Olympus as a process, and a real browser in front of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from olympus.testing.cluster import OlympusProcess
from tests.browser.driver import Browser, find_browser


@pytest.fixture(scope="session")
def binaries() -> tuple[str, str]:
    """Chromium and its driver; without them the tests are skipped, loudly, and fail where CI runs."""
    found = find_browser()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium: CI has to run these tests (make browser)")
        pytest.skip("no Chromium: make browser")
    return found


@pytest.fixture
def olympus(tmp_path: Path) -> Iterator[OlympusProcess]:
    process = OlympusProcess(tmp_path / "state")
    process.start()
    yield process
    try:
        process.stop()
    finally:
        process.end_services()


@pytest.fixture
def browser(olympus: OlympusProcess, binaries: tuple[str, str], tmp_path: Path) -> Iterator[Browser]:
    """Logged in as the admin. Whatever the test did: nothing was asked of another host, nothing complained."""
    window = Browser(binaries, olympus.client["server"], tmp_path / "profile")
    try:
        window.login(olympus.client["token"])
        yield window
        assert window.off_host() == []
        assert window.complaints == []
        assert len(window.asked) > 3
    finally:
        window.close()
