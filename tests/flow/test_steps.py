"""Steps under attack: what they are given is inert, what they do is bounded, what they must not say is masked."""

# ruff: noqa: E501 - a spec is easier to read on a line

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from olympus.testing.cluster import OlympusProcess, eventually

CANARY = "c4nary/s3cret+value"


def pipeline(name: str, *steps: str, **more: str) -> str:
    lines = "".join(f"    - {step}\n" for step in steps)
    extra = "".join(f"  {key}: {value}\n" for key, value in more.items())
    return (
        f"apiVersion: olympus/v1\nkind: Pipeline\nmetadata: {{name: {name}}}\nspec:\n{extra}  steps:\n{lines}"
    )


TEXT = "{type: object, properties: {text: {type: string}}}"
SHOW = """{name: show, run: [python3, -c, "import json,os,sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))", "${{ params.text }}"], env: {MINE: "is ${{ params.text }}"}}"""
LEAK = (
    '{name: leak, secrets: {TOKEN: canary}, script: \'printf %s "$TOKEN"; echo; printf %s "$TOKEN" | base64 -w0; echo; '
    'for c in $(printf %s "$TOKEN" | sed "s/./& /g"); do printf %s "$c"; sleep 0.02; done; echo; '
    'echo "{\\"got\\": \\"$TOKEN\\"}" > "$OLY_OUTPUT"; echo "$TOKEN" >&2\'}'
)
SPECS = "---\n".join(
    [
        "apiVersion: olympus/v1\nkind: Secret\nmetadata: {name: canary}\n"
        "spec: {from: {env: CANARY}, pipelines: [leak, leak-fails, leak-header]}\n",
        "apiVersion: olympus/v1\nkind: Secret\nmetadata: {name: open}\n"
        "spec: {from: {file: SECRET_FILE}, pipelines: [open-file]}\n",
        pipeline("show", SHOW, params=TEXT),
        pipeline("script", "{name: say, script: 'printf \"%s\" \"$OLY_PARAM_TEXT\"'}", params=TEXT),
        pipeline("leak", LEAK, "{name: tell, emit: {type: leak.told, data: {out: '${{ steps.leak.output }}'}}}"),
        pipeline("leak-fails", "{name: fail, secrets: {TOKEN: canary}, script: 'echo bad $TOKEN; exit 3'}"),
        pipeline(
            "leak-header",
            "{name: ask, http: {url: 'http://127.0.0.1:1/', headers: {Authorization: {secret: canary, prefix: 'Bearer '}}}}",
        ),
        pipeline("open-file", "{name: use, secrets: {TOKEN: open}, run: ['true']}"),
        pipeline("metadata", "{name: ask, http: {url: 'http://169.254.169.254/latest/'}}"),
        pipeline("stubborn", "{name: hang, script: \"trap '' TERM; setsid sleep 987654 & echo up; while :; do sleep 0.1; done\"}"),
        pipeline("slow", "{name: hang, timeout: 300ms, run: [sleep, '987655']}"),
        pipeline("loud", "{name: shout, run: [head, -c, '15000000', /dev/zero]}"),
        pipeline("louder", "{name: shout, run: ['yes']}"),
        pipeline("bomb", "{name: bomb, timeout: 2s, script: 'f() { f | f & }; f; sleep 987656'}"),
        pipeline("escape", "{name: out, script: 'ln -s /etc/passwd link', artifacts: {save: {gone: link}}}"),
        pipeline(
            "output",
            "{name: last, script: 'echo words; echo {\\\"n\\\": 5}'}",
            "{name: file, script: 'echo [1,2] > \"$OLY_OUTPUT\"; echo {}'}",
            "{name: none, run: [echo, no json]}",
            "{name: use, when: 'steps.last.output.n == 5 && steps.file.output[1] == 2', run: [echo, '${{ steps.last.output.n }}']}",
        ),
        pipeline("whoami", "{name: me, run: [id, -un]}", "{name: root, user: root, run: [id, -un]}"),
        pipeline("clone", "{name: look, run: [ls]}", workspace="{checkout: {repo: '${{ params.text }}'}}", params=TEXT),
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def olympus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    secret = folder / "open-secret"
    secret.write_text("x" * 20)
    secret.chmod(0o644)
    with OlympusProcess(folder / "state", env={"CANARY": CANARY}) as process:
        process.push({"specs.yaml": SPECS.replace("SECRET_FILE", str(secret))})
        yield process


def log(olympus, run):
    return olympus.ask("GET", f"/api/v1/runs/{run['id']}/logs").text


HOSTILE = [
    "; rm -rf /",
    "{{7*7}}",
    "${params.x}",
    "$(id)",
    "`id`",
    "-oProxyCommand=touch /tmp/x",
    "${{ params.text }}",
    "a\nb",
    "'\"",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_reaches_a_step_as_one_literal_argument(olympus, text):
    run = olympus.run("show", {"text": text})
    argv, environ = json.loads(log(olympus, run).splitlines()[-1])
    assert argv == [text]
    assert environ["MINE"] == f"is {text}"
    assert environ["OLY_PARAM_TEXT"] == text
    assert log(olympus, olympus.run("script", {"text": text})) == text


def test_a_step_sees_its_own_environment_and_nothing_else(olympus):
    run = olympus.run("show", {"text": "x"})
    _, environ = json.loads(log(olympus, run).splitlines()[-1])
    assert set(environ) == {
        "OLY_RUN_ID", "OLY_STEP", "OLY_NODE", "OLY_ATTEMPT", "OLY_OUTPUT", "OLY_PARAM_TEXT",
        "MINE", "PATH", "HOME", "LANG",
    } | ({"LC_CTYPE"} & set(environ))  # fmt: skip


def test_a_secret_is_masked_everywhere(olympus):
    run = olympus.run("leak")
    assert run["state"] == "succeeded", run
    failed = olympus.run("leak-fails")
    asked = olympus.run("leak-header")
    everything = "".join(
        [
            *(log(olympus, one) + json.dumps(one) for one in (run, failed, asked)),
            json.dumps(olympus.events("limit=1000")),
            olympus.output(),
            *(
                file.read_text(errors="replace")
                for file in (olympus.state / "runs").rglob("*")
                if file.is_file()
            ),
        ]
    )
    assert "***" in log(olympus, run)
    assert run["steps"][0]["output"] == {"got": "***"}
    for form in (CANARY, base64.b64encode(CANARY.encode()).decode(), quote(CANARY, safe="")):
        assert form not in everything


def test_a_secret_that_others_can_read_is_refused(olympus):
    run = olympus.run("open-file")
    assert run["state"] == "failed"
    assert "chmod 600" in run["steps"][0]["message"]


def test_a_request_to_metadata_is_refused(olympus):
    run = olympus.run("metadata")
    assert (run["state"], "link-local" in run["steps"][0]["message"]) == ("failed", True)


def sleeping(seconds: str) -> bool:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if seconds.encode() in file.read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


def test_a_step_that_ignores_sigterm_is_ended_with_all_it_begot(olympus):
    started = olympus.post("/api/v1/pipelines/stubborn/runs")
    eventually(lambda: sleeping("987654"), what="it sleeps")
    olympus.post(f"/api/v1/runs/{started['id']}/cancel")
    run = olympus.finished(started["id"])
    assert run["state"] == "cancelled"
    assert not sleeping("987654")


def test_a_time_out_ends_a_step_and_says_so(olympus):
    run = olympus.run("slow")
    assert (run["state"], run["steps"][0]["message"]) == ("failed", "timed out after 0.3 s")
    assert not sleeping("987655")


@pytest.mark.parametrize("name", ["loud", "louder"])
def test_output_over_the_limit_is_cut_and_said_so(olympus, name):
    run = olympus.run(name)
    file = next((olympus.state / "runs" / run["id"]).glob("*.log"))
    assert file.stat().st_size < 10 * 1024 * 1024 + 200
    assert file.read_bytes().endswith(b"was cut here]\n")
    if name == "louder":
        assert run["state"] == "failed"
        assert "its output went over" in run["steps"][0]["message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs control groups")
def test_a_fork_bomb_is_held_and_ended(olympus):
    begun = time.monotonic()
    run = olympus.run("bomb", within=60)
    assert run["state"] == "failed", run
    assert not sleeping("987656")
    assert olympus.run("output")["state"] == "succeeded"
    assert time.monotonic() - begun < 60


def test_an_artifact_must_not_lead_out_of_the_workspace(olympus):
    run = olympus.run("escape")
    assert run["state"] == "failed"
    assert "artifact 'gone'" in run["steps"][0]["message"]
    assert not (olympus.state / "artifacts" / run["id"] / "gone").exists()


def test_output_is_the_last_line_that_is_json_or_the_file(olympus):
    run = olympus.run("output")
    outputs = {step["name"]: step["output"] for step in run["steps"]}
    assert outputs == {"last": {"n": 5}, "file": [1, 2], "none": None, "use": 5}


@pytest.mark.skipif(os.geteuid() != 0, reason="switches users")
def test_steps_are_nobody_and_another_user_needs_the_nodes_word(olympus):
    run = olympus.run("whoami")
    assert log(olympus, run) == "nobody\n"
    assert "allow.users" in {s["name"]: s for s in run["steps"]}["root"]["message"]


@pytest.mark.parametrize(
    "repo",
    ["ext::sh -c touch% /tmp/pwned", "--upload-pack=touch /tmp/pwned", "file:///a\n--x", "/etc", "$(id)"],
)
def test_a_repository_that_is_none_is_refused(olympus, repo):
    run = olympus.run("clone", {"text": repo})
    assert run["state"] == "failed"
    assert "is no repository" in run["steps"][0]["message"] or "git" in run["steps"][0]["message"]
    assert not Path("/tmp/pwned").exists()
