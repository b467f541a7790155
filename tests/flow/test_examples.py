"""Each example, pushed with real git and played as its README says, on the embedded Hermes and on Consul."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from olympus.testing.cluster import OlympusProcess, eventually, free_port
from tests.flow.support import REPOSITORY, example

KEY = "an example's key"


def instance(olympus: OlympusProcess, service: str) -> dict:
    found = olympus.get(f"/api/v1/services/{service}")["status"]["instances"]
    return found[0] if found else {"state": "none", "pid": None}


def in_state(olympus: OlympusProcess, service: str, state: str, within: float = 30) -> dict:
    return eventually(
        lambda: one if (one := instance(olympus, service))["state"] == state else None,
        within=within,
        what=f"{service} {state}",
    )


def with_ports(files: dict[str, str], *ports: int) -> dict[str, str]:
    """The example's fixed ports, replaced by free ones: tests run side by side."""
    moved = {str(port): str(free_port()) for port in ports}
    for old, new in moved.items():
        files = {name: text.replace(old, new) for name, text in files.items()}
    return files


def runs(olympus: OlympusProcess, pipeline: str, state: str) -> list[dict]:
    return olympus.get(f"/api/v1/runs?pipeline={pipeline}&state={state}")["items"]


def test_first_steps(olympus):
    olympus.push(with_ports(example("first-steps"), 8765))
    before = in_state(olympus, "hello", "running")
    assert before["healthy"] is True
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: instance(olympus, "hello")["pid"] not in {None, before["pid"]}, what="back")
    run = olympus.run("greet", {"name": "you"})
    assert run["state"] == "succeeded"
    assert "hello you" in olympus.ask("GET", f"/api/v1/runs/{run['id']}/logs").text
    scheduled = eventually(lambda: runs(olympus, "greet", "succeeded")[:-1], what="a scheduled run")
    assert scheduled[0]["cause"]["kind"] == "schedule"
    olympus.kill()
    olympus.start()
    in_state(olympus, "hello", "running")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        olympus.push({"a.yaml": "kind: Servce"})
    assert "refused: a.yaml:1:" in refused.value.stderr


def test_keep_alive(olympus):
    olympus.push(with_ports(example("keep-alive"), 8771, 8772))
    store, web = in_state(olympus, "store", "running"), in_state(olympus, "web", "running")
    assert store["since"] <= web["since"]
    # A hung service is found by its check and started again.
    os.kill(store["pid"], signal.SIGSTOP)
    eventually(lambda: instance(olympus, "store")["pid"] not in {None, store["pid"]}, what="healed")
    in_state(olympus, "store", "running")
    in_state(olympus, "fragile", "crashlooping", within=60)
    (noted,) = eventually(lambda: runs(olympus, "note-crash-loop", "succeeded"), what="the note")
    assert noted["params"]["service"] == "fragile"
    event = olympus.get(f"/api/v1/events/{noted['cause']['event']}")
    assert event["type"] == "olympus.zeus.service-crashlooping"


def sign(body: bytes) -> str:
    return hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()


def test_nightly_and_webhook(make_olympus, hermes, tmp_path):
    olympus = make_olympus(hermes=hermes, env={"EXAMPLE_HOOK_KEY": KEY})
    olympus.start()
    tmp_path.chmod(0o755)
    target = tmp_path / "target"
    target.mkdir()
    target.chmod(0o777)
    files = {
        n: t.replace("default: /tmp", f"default: {target}") for n, t in example("nightly-and-webhook").items()
    }
    reachable = all(parent.stat().st_mode & 0o001 for parent in target.parents)
    if not reachable:
        files = example("nightly-and-webhook")
    olympus.push(files)
    body = json.dumps({"ref": "refs/heads/main", "what": "docs"}).encode()
    headers = {"X-Signature": sign(body), "X-Delivery": "1"}
    answer = olympus.ask("POST", "/hooks/on-push", body, token=None, headers=headers)
    assert answer.status == 202, answer.text
    run = olympus.finished(answer.json["id"])
    assert (run["state"], run["params"]["what"]) == ("succeeded", "docs"), run
    assert next(s for s in run["steps"] if s["name"] == "pack")["attempt"] == 2
    assert run["cause"]["kind"] == "webhook"
    again = olympus.ask("POST", "/hooks/on-push", body, token=None, headers=headers)
    assert (again.status, again.json["id"]) == (200, run["id"])
    wrong = olympus.ask("POST", "/hooks/on-push", body, token=None, headers={"X-Signature": "0" * 64})
    assert wrong.status == 401
    other = json.dumps({"ref": "refs/heads/x"}).encode()
    other_headers = {"X-Signature": sign(other)}
    assert olympus.ask("POST", "/hooks/on-push", other, token=None, headers=other_headers).status == 204
    failed = olympus.run("backup", {"target": "/nowhere"})
    assert failed["state"] == "failed"
    assert {s["name"]: s["state"] for s in failed["steps"]}["alarm"] == "succeeded"
    assert olympus.events("type=backup.failed")
    eventually(
        lambda: [r for r in runs(olympus, "backup", "succeeded") if r["cause"]["name"] == "often-backup"],
        within=40,
        what="the schedule's run",
    )
    coming = olympus.get("/api/v1/schedules/nightly-backup/next?n=2")["items"]
    assert len(coming) == 2


SOURCE = {
    "greeting.sh": '#!/bin/sh\necho "hello $1"\n',
    "Makefile": "all: greeting\ngreeting: greeting.sh\n\tcp greeting.sh greeting && chmod +x greeting\n",
}


def test_build(olympus, tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    for name, text in SOURCE.items():
        (sources / name).write_text(text)
    olympus.git("init", "-q", "-b", "main", cwd=sources)
    olympus.git("add", "-A", cwd=sources)
    olympus.git("commit", "-q", "-m", "greeting", cwd=sources)
    olympus.push(example("build"))
    run = olympus.run("build", {"repo": f"file://{sources}"}, within=60)
    assert run["state"] == "succeeded", run
    kept = Path(olympus.state) / "artifacts" / run["id"] / "greeting"
    assert kept.read_text() == SOURCE["greeting.sh"]
    (sources / "greeting.sh").write_text("#!/bin/sh\necho goodbye\n")
    olympus.git("commit", "-qam", "worse", cwd=sources)
    broken = olympus.run("build", {"repo": f"file://{sources}"}, within=60)
    assert broken["state"] == "failed"
    assert "it said: goodbye" in olympus.ask("GET", f"/api/v1/runs/{broken['id']}/logs?step=test").text
    assert olympus.events("type=build.failed")


def test_the_specs_that_make_up_begins_with(make_olympus, hermes):
    olympus = make_olympus(hermes=hermes, node="local", args=("--specs", str(REPOSITORY / "specs")))
    olympus.start()
    in_state(olympus, "load-log", "running")
    run = olympus.run("self-check", {"url": olympus.client["server"]})
    assert run["state"] == "succeeded", run
    assert olympus.get("/api/v1/nodes/local")["status"]["alive"] is True
