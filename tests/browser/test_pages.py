"""What operators do in a browser: look, push and see it, run and watch."""

from __future__ import annotations

from tests.browser.story import told

SERVICE = """
apiVersion: olympus/v1
kind: Service
metadata: {name: sleeper}
spec: {run: {process: {command: [sleep, "86400"]}}}
"""

PIPELINE = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: greet}
spec:
  steps:
    - {name: say, script: "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done"}
    - {name: bye, run: [echo, "good bye"]}
"""


def marked(browser) -> None:
    """A page that is loaded anew forgets this."""
    browser.driver.execute_script("window.mark = true")


def same_page(browser) -> bool:
    return browser.driver.execute_script("return window.mark === true")


def test_a_push_is_seen_without_a_reload(olympus, browser):
    browser.sees("live", "Nothing was pushed yet")
    marked(browser)
    olympus.push({"a.yaml": SERVICE})
    browser.sees("1/1\nServices")
    assert same_page(browser)
    browser.click("Services")
    browser.sees("sleeper", "Healthy")


def test_a_run_is_watched_while_it_writes(olympus, browser):
    olympus.push({"p.yaml": PIPELINE})
    run = olympus.post("/api/v1/pipelines/greet/runs", {"params": {}})["id"]
    browser.open(f"/runs/{run}")
    marked(browser)
    browser.sees("line 1")
    early = browser.text()
    browser.sees("line 5", "good bye", "succeeded")
    assert "good bye" not in early
    assert same_page(browser)


def test_every_page_is_accessible_and_fits_a_telephone(olympus, browser):
    for path in (*told(olympus), "/runs/nope", "/login"):
        browser.open(path)
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            assert browser.violations() == [], (path, scheme)
        browser.size(360)
        assert browser.overflows() <= 0, path
        assert browser.violations() == [], (path, "narrow")
        browser.size(1280)
    browser.read_logs()
    # That there is no such run is an answer, which Chromium calls an error.
    browser.complaints = [one for one in browser.complaints if "/runs/nope" not in one]
