"""A real Chromium without a window, what it asked for, what it complained of, and how accessible it finds a page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def find_browser() -> tuple[str, str] | None:
    """Where Chromium and its driver are."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window on one Olympus."""

    def __init__(self, binaries: tuple[str, str], server: str, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = binaries[0]
        for word in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(binaries[1]))
        self.driver.set_page_load_timeout(30)
        self.server = server
        self.asked: list[str] = []
        self.complaints: list[str] = []

    def open(self, path: str) -> None:
        self.driver.get(self.server + path)

    def login(self, token: str) -> None:
        self.open("/login")
        self.driver.find_element(By.ID, "token").send_keys(token)
        self.driver.find_element(By.CSS_SELECTOR, "main button").click()
        self.sees("Overview")

    def text(self) -> str:
        return str(self.driver.execute_script("return document.body.innerText"))

    def sees(self, *words: str, within: float = 20.0) -> None:
        """Waits until the page, which is not loaded anew, says all of it."""
        WebDriverWait(self.driver, within, poll_frequency=0.05).until(
            lambda _: all(word in self.text() for word in words), f"the page never said {words}"
        )

    def click(self, name: str) -> None:
        """The one button or link of this name."""
        path = f"//*[self::button or self::a][normalize-space()={json.dumps(name)}]"

        def clicked(driver: webdriver.Chrome) -> bool:
            driver.find_element(By.XPATH, path).click()
            return True

        # Parts of a page are replaced while one looks at them.
        again = (NoSuchElementException, StaleElementReferenceException, ElementClickInterceptedException)
        WebDriverWait(self.driver, 20, poll_frequency=0.05, ignored_exceptions=again).until(
            clicked, f"there was no {name!r} to click on"
        )

    def text_of(self, selector: str) -> str:
        """Of the first element that CSS selects, as it is now; empty where there is none."""
        asked = "const found = document.querySelector(arguments[0]); return found ? found.innerText : ''"
        return str(self.driver.execute_script(asked, selector))

    def size(self, width: int, height: int = 900) -> None:
        """Of the page itself; a window can't be as narrow as a telephone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        """`light` or `dark`."""
        features = {"features": [{"name": "prefers-color-scheme", "value": name}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)

    def violations(self) -> list[str]:
        """What axe-core finds wrong on the page as it is now."""
        self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE})
        run = "axe.run(document, arguments[0]).then(arguments[1], e => arguments[1]({error: String(e)}))"
        found = self.driver.execute_async_script(run, {"runOnly": _RULES})
        assert "error" not in found, found
        return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]

    def overflows(self) -> int:
        """By how many pixels the page is wider than its window."""
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.driver.execute_script(f"return {width}"))

    def read_logs(self) -> None:
        """Into `asked` and `complaints`; the driver gives each line once."""
        for line in self.driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
        self.complaints += [
            line["message"]
            for line in self.driver.get_log("browser")
            if line["level"] in ("SEVERE", "WARNING")
        ]

    def off_host(self) -> list[str]:
        """Requests to anybody else. The browser's own pages count for none."""
        self.read_logs()
        ours = urlsplit(self.server).netloc
        schemes = ("http", "https", "ws", "wss")
        return [u for u in self.asked if urlsplit(u).scheme in schemes and urlsplit(u).netloc != ours]

    def close(self) -> None:
        self.driver.quit()
