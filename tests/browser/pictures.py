"""Pictures of the pages, light, dark and as on a telephone: `make pictures` writes them to docs/pictures."""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from olympus.testing.cluster import OlympusProcess
from tests.browser.driver import Browser, find_browser
from tests.browser.story import told


def main(folder: Path) -> None:
    binaries = find_browser()
    if binaries is None:
        sys.exit("no Chromium: make browser")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch, OlympusProcess(Path(scratch) / "state") as olympus:
        try:
            _take(olympus, Browser(binaries, olympus.client["server"], Path(scratch) / "profile"), folder)
        finally:
            olympus.end_services()
    print(sum(file.stat().st_size for file in folder.iterdir()) // 1024, "KiB in", folder)


def _take(olympus: OlympusProcess, browser: Browser, folder: Path) -> None:
    paths = told(olympus)
    browser.login(olympus.client["token"])
    for path in paths:
        name = _name(path)
        if (folder / f"{name}-light.webp").exists():
            continue
        browser.size(1280, 800)
        browser.open(path)
        browser.sees("live")
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            _shoot(browser, folder / f"{name}-{scheme}.webp")
        browser.scheme("light")
        browser.size(360, 720)
        _shoot(browser, folder / f"{name}-narrow.webp")
    browser.close()


def _name(path: str) -> str:
    """`/runs/ID` → run, `/nodes/n1` → node, `/nodes` → nodes."""
    words = path.strip("/").split("/")
    if len(words) == 1:
        return words[0] or "overview"
    return words[0].removesuffix("es") if words[0].endswith("tches") else words[0].removesuffix("s")


def _shoot(browser: Browser, file: Path) -> None:
    shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 42})
    file.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
