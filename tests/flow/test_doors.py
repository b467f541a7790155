"""People come in: added by the command line, logged in by name and password, held by Access that was pushed."""

from __future__ import annotations

import http.client
import subprocess
import sys
from urllib.parse import urlencode, urlsplit

from .support import cli

ACCESS = """\
apiVersion: olympus/v1
kind: Access
metadata: {name: shop}
spec: {groups: [shop], role: operator, selector: team=shop}
"""
PIPELINE = """\
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: %s, labels: {team: %s}}
spec: {steps: [{name: go, run: ["true"]}]}
"""


def test_a_user_of_the_command_line_logs_in_and_sees_what_access_gives(olympus):
    added = subprocess.run(
        [
            sys.executable,
            "-m",
            "olympus.cli.main",
            "user",
            "add",
            "ann",
            "--group",
            "shop",
            "--state",
            olympus.state,
        ],
        input="correct horse battery\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert added.returncode == 0, added.stderr
    assert "as Access says" in cli(olympus, "user", "list")
    assert login(olympus).status == 403
    files = {
        "access.yaml": ACCESS,
        "shop.yaml": PIPELINE % ("sell", "shop"),
        "bank.yaml": PIPELINE % ("lend", "bank"),
    }
    olympus.push(files)
    entered = login(olympus)
    assert entered.status == 303
    cookie = entered.headers["Set-Cookie"].partition(";")[0]
    assert ask(olympus, "GET", "/api/v1/pipelines/sell", Cookie=cookie).status == 200
    assert ask(olympus, "GET", "/api/v1/pipelines/lend", Cookie=cookie).status == 404
    assert "ann" in cli(olympus, "audit")
    cli(olympus, "user", "remove", "ann")
    assert ask(olympus, "GET", "/api/v1/pipelines/sell", Cookie=cookie).status == 401


def login(olympus):
    form = urlencode({"name": "ann", "password": "correct horse battery"})
    return ask(olympus, "POST", "/login", form, **{"Content-Type": "application/x-www-form-urlencoded"})


def ask(olympus, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(urlsplit(olympus.client["server"]).netloc, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer
