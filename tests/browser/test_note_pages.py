"""Notes in the browser: written, previewed, edited by two at once, brought back."""

from __future__ import annotations

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.story import NOTE, noted

PATH = "/api/v1/notes/runbooks/disk-full"


def markdown(browser):
    return browser.driver.find_element(By.ID, "markdown")


def written(browser, text):
    field = markdown(browser)
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(text)


def test_a_note_is_written_with_a_preview_and_saved_as_a_commit(olympus, browser):
    browser.open("/notes")
    browser.sees("There is none yet")
    browser.driver.find_element(By.ID, "new").send_keys("runbooks/router")
    browser.click("Write")
    browser.sees("As it will look", "Router")
    written(browser, "# The router\n\nPull **the plug**. <script>alert(1)</script>")
    browser.sees("Pull the plug.")
    assert browser.driver.find_element(By.CSS_SELECTOR, "#preview strong").text == "the plug"
    markdown(browser).send_keys(Keys.CONTROL, "s")
    browser.sees("Changed", "runbooks/router")
    saved = olympus.get("/api/v1/notes/runbooks/router")
    assert saved["title"] == "The router"
    assert len(olympus.get("/api/v1/notes/runbooks/router/history")["items"]) == 1


def test_two_who_edit_different_lines_at_once_both_keep_theirs(olympus, browser):
    saved = noted(olympus, "runbooks/disk-full", NOTE)
    browser.open("/note-edit/runbooks/disk-full")
    other = NOTE.replace("| `/` | 40 % |", "| `/` | 41 % |")
    olympus.ask("PUT", PATH, {"markdown": other}, headers={"If-Match": f'"{saved["revision"]}"'})
    markdown(browser).send_keys(Keys.CONTROL, Keys.END)
    markdown(browser).send_keys("Then have tea.")
    browser.click("Save")
    browser.sees("41 %", "Then have tea.", "History")
    text = olympus.get(PATH)["markdown"]
    assert "41 %" in text
    assert "have tea" in text


def test_two_who_edit_the_same_line_see_both_and_lose_none(olympus, browser):
    saved = noted(olympus, "runbooks/disk-full", "# Disk\n\nUsual: 40 %\n")
    browser.open("/note-edit/runbooks/disk-full")
    olympus.ask(
        "PUT", PATH, {"markdown": "# Disk\n\nUsual: 50 %\n"}, headers={"If-Match": f'"{saved["revision"]}"'}
    )
    written(browser, "# Disk\n\nUsual: 60 %\n")
    browser.click("Save")
    browser.sees("Somebody else changed the same lines")
    assert "50 %" in browser.driver.find_element(By.ID, "theirs").text
    assert "60 %" in browser.driver.find_element(By.ID, "yours").text
    assert browser.violations() == []
    written(browser, "# Disk\n\nUsual: 50 to 60 %\n")
    browser.click("Save")
    browser.sees("Usual: 50 to 60 %", "History")
    browser.read_logs()
    # A conflict is an answer, which Chromium calls an error.
    browser.complaints = [one for one in browser.complaints if "409" not in one]


def test_what_was_is_shown_compared_and_made_so_again(olympus, browser):
    saved = noted(olympus, "runbooks/disk-full", "# Disk\n\nFirst words.\n")
    olympus.ask(
        "PUT", PATH, {"markdown": "# Disk\n\nOther words.\n"}, headers={"If-Match": f'"{saved["revision"]}"'}
    )
    browser.open("/note-history/runbooks/disk-full")
    browser.click("to the one before")
    browser.sees("-First words.", "+Other words.")
    browser.click(saved["revision"][:7])
    browser.sees("As it was at", "First words.")
    browser.click("Make it so again")
    browser.sees("First words.", "Edit")
    assert "First words." in olympus.get(PATH)["markdown"]


def test_a_note_that_somebody_else_changes_is_new_before_ones_eyes(olympus, browser):
    saved = noted(olympus, "runbooks/disk-full", "# Disk\n\nFirst words.\n")
    browser.open("/notes/runbooks/disk-full")
    browser.sees("live", "First words.")
    olympus.ask(
        "PUT", PATH, {"markdown": "# Disk\n\nOther words.\n"}, headers={"If-Match": f'"{saved["revision"]}"'}
    )
    browser.sees("Other words.")


def test_a_note_is_found_by_a_misspelt_word_and_opened_by_keyboard_alone(olympus, browser):
    noted(olympus, "runbooks/disk-full", NOTE)
    noted(olympus, "on-call", "# On call\n\nThis week: Eva.\n")
    keys = ActionChains(browser.driver)
    keys.key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).send_keys("foldr grwos").perform()
    browser.sees("The disk is full")
    assert browser.violations() == []
    ActionChains(browser.driver).send_keys(Keys.ARROW_DOWN, Keys.ENTER).perform()
    browser.sees("First look which folder grows")
