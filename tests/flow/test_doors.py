"""People come in: added by the command line, logged in by name and password, held by Access that was pushed."""

from __future__ import annotations

import http.client
import subprocess
import sys
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest

from tests.identity_provider import CLIENT, SECRET, IdentityProvider

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


SIGN_ON_ACCESS = ACCESS.replace("selector: team=shop", "selector: ''")


def test_single_sign_on_comes_in_by_the_flags_of_up(make_olympus, tmp_path):
    with IdentityProvider() as provider:
        (tmp_path / "secret").write_text(SECRET + "\n")
        flags = (
            "--oidc",
            provider.issuer,
            "--oidc-client",
            CLIENT,
            "--oidc-secret-file",
            str(tmp_path / "secret"),
        )
        olympus = make_olympus(args=flags)
        olympus.start()
        olympus.push({"access.yaml": SIGN_ON_ACCESS})
        begun = ask(olympus, "GET", "/login/begin")
        assert begun.status == 303
        attempt = begun.headers["Set-Cookie"].partition(";")[0]
        asked = urlsplit(begun.headers["Location"])
        opener = build_opener(NoRedirect)
        with pytest.raises(HTTPError) as led:
            opener.open(asked.geturl())
        back = urlsplit(led.value.headers["Location"])
        entered = ask(olympus, "GET", f"{back.path}?{back.query}", Cookie=attempt)
        assert entered.status == 200
        cookies = entered.headers.get_all("Set-Cookie")
        session = next(one for one in cookies if one.startswith("olympus_session")).partition(";")[0]
        assert ask(olympus, "GET", "/", Cookie=session).status == 200
        assert "ann" in cli(olympus, "audit")


class NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


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
