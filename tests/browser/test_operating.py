"""What an operator does at three in the morning: by hand, by keyboard alone, with a page that does not jump."""

from __future__ import annotations

import time

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from olympus.testing.cluster import eventually
from tests.browser.story import SPECS, attacked

WRITES = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: writes}
spec:
  steps:
    - name: write
      script: "seq 1 300000; printf '\\\\033[31m<img src=x onerror=alert(1)>\\\\033[0m\\\\007\\\\n'"
"""


def press(browser, *keys):
    for key in keys:
        ActionChains(browser.driver).send_keys(key).perform()


def focused(browser):
    return browser.driver.execute_script("return document.activeElement.textContent")


def test_a_remedy_is_approved_and_its_incident_ends_before_ones_eyes(olympus, browser):
    olympus.push({"shop.yaml": SPECS})
    incident = attacked(olympus)
    browser.open(f"/incidents/{incident['id']}")
    browser.sees("asks for a yes", "ip=203.0.113.7", "data.score is 9")
    browser.click("Approve")
    browser.sees("Answered", "resolved", "and it helped")
    assert "asks for a yes" not in browser.text()


def test_the_incident_drill_needs_no_mouse(olympus, browser):
    olympus.push({"shop.yaml": SPECS})
    attacked(olympus)
    press(browser, "g", "i")
    browser.sees("Going on")
    browser.sees("brute-force")
    press(browser, "j")
    assert focused(browser) == "brute-force"
    press(browser, Keys.ENTER)
    browser.sees("What was decided, and why")
    press(browser, "a")
    browser.sees("Cared for")
    press(browser, "y")
    browser.sees("resolved")
    press(browser, "?")
    browser.sees("Keys of one letter are on")


def test_keys_that_are_switched_off_do_nothing(olympus, browser):
    browser.driver.find_element(By.ID, "show-keys").click()
    browser.driver.find_element(By.ID, "keys-on").click()
    press(browser, Keys.ESCAPE)
    press(browser, "g", "i")
    time.sleep(0.5)
    assert "Overview" in browser.driver.title


def test_what_changes_takes_neither_focus_nor_text_nor_place(olympus, browser):
    olympus.push({"shop.yaml": SPECS})
    incident = attacked(olympus)
    browser.open(f"/incidents/{incident['id']}")
    browser.sees("live")
    field = browser.driver.find_element(By.NAME, "text")
    field.send_keys("I look at the")
    place = browser.driver.execute_script("return window.scrollY")
    olympus.post(f"/api/v1/incidents/{incident['id']}/ack")
    browser.sees("Cared for")
    press(browser, " firewall")
    assert field.get_attribute("value") == "I look at the firewall"
    assert abs(browser.driver.execute_script("return window.scrollY") - place) <= 80
    browser.click("Comment")
    browser.sees("says I look at the firewall")


def test_what_the_api_refuses_is_said_where_it_was_asked(olympus, browser):
    olympus.push({"shop.yaml": SPECS})
    browser.open("/rules")
    browser.driver.find_element(By.TAG_NAME, "summary").click()
    for name, text in {"rules": "brute-forse", "for": "1h", "reason": "a test"}.items():
        browser.driver.find_element(By.NAME, name).send_keys(text)
    browser.click("Silence")
    browser.sees("there is no Rule 'brute-forse'")
    browser.read_logs()
    browser.complaints = [one for one in browser.complaints if "silences" not in one]


def test_a_pipeline_is_run_from_its_page_with_typed_fields(olympus, browser):
    olympus.push({"shop.yaml": SPECS})
    browser.open("/pipelines/deploy")
    browser.driver.find_element(By.NAME, "params.version").send_keys("7")
    browser.driver.find_element(By.NAME, "params.canary").click()
    browser.click("Run")
    browser.sees("version=7", "canary=false", "rolled out 7", "succeeded")


def test_all_windows_live_by_one_stream_and_the_next_takes_it_over(olympus, browser):
    browser.sees("live")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    second = browser.driver.current_window_handle
    browser.open("/pipelines")
    browser.sees("live")
    olympus.push({"shop.yaml": SPECS})
    browser.sees("deploy")
    held = "navigator.locks.query().then((all) => arguments[0](all.held.length + ' ' + all.pending.length))"
    assert browser.driver.execute_async_script(held) == "1 1"
    browser.driver.switch_to.window(first)
    browser.driver.close()
    browser.driver.switch_to.window(second)
    eventually(lambda: browser.driver.execute_async_script(held) == "1 0")
    olympus.push({"shop.yaml": SPECS.replace("name: deploy", "name: release")})
    browser.sees("release")


def test_a_page_that_hears_nothing_says_so_and_comes_back(olympus, browser):
    browser.sees("live")
    olympus.stop()
    browser.sees("as of ")
    olympus.start()
    browser.sees("live")
    browser.read_logs()
    browser.complaints = [
        one for one in browser.complaints if "ERR_" not in one and "Failed to fetch" not in one
    ]


def test_very_long_output_is_a_window_with_a_link_to_each_line(olympus, browser):
    olympus.push({"w.yaml": WRITES})
    run = olympus.run("writes")["id"]
    browser.open(f"/runs/{run}#L250000")
    browser.sees("300,001 lines", "250000")
    eventually(
        lambda: browser.text_of("#output .here").split() == ["250000", "250000"], what="the line is shown"
    )
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, "#output .row")) < 200
    browser.driver.find_element(By.ID, "output-find").send_keys("123456" + Keys.ENTER)
    browser.sees("123455\n")
    assert browser.driver.current_url.endswith("#L123456")
    browser.click("To the end")
    browser.sees("<img src=x onerror=alert(1)>", "\\u0007")
    assert browser.text_of("#output .a31") == "<img src=x onerror=alert(1)>"


def test_a_spec_is_edited_planned_and_committed_and_a_wrong_one_is_refused_with_its_line(olympus, browser):
    olympus.push({"shop.yaml": SPECS})
    browser.open("/services/shop-api")
    browser.click("Edit")
    field = browser.driver.find_element(By.ID, "spec-text")
    right = field.get_attribute("value")
    put = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    browser.driver.execute_script(put, field, right.replace("labels: {team: shop}", "labls: {team: shop}", 1))
    browser.click("Plan")
    browser.sees("shop.yaml:14:", "did you mean 'labels'?")
    assert browser.driver.find_element(By.ID, "spec-commit").get_attribute("disabled")
    browser.driver.execute_script(put, field, right.replace("sleep 2", "sleep 3", 1))
    browser.click("Plan")
    browser.sees("It may be committed.", "sleep 3", "restart")
    browser.driver.find_element(By.ID, "spec-why").send_keys("Rest longer")
    browser.click("Commit")
    browser.sees("Instances")
    assert "sleep 3" in str(olympus.get("/api/v1/services/shop-api")["spec"])
    browser.open("/sync")
    browser.sees("Rest longer")
    browser.read_logs()
    # A refusal is an answer, which Chromium calls an error.
    browser.complaints = [one for one in browser.complaints if "/api/v1/specs" not in one]
