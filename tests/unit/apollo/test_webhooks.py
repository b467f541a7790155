"""Webhooks: each by its own proof, each delivery once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

import orjson
import pytest

HOOKS = (
    ("Secret", "hook", {"from": {"env": "HOOK"}, "webhooks": ["gh", "gl", "hm", "tok"]}),
    ("Secret", "other", {"from": {"env": "OTHER"}, "webhooks": ["oth"]}),
    ("Secret", "empty", {"from": {"env": "EMPTY"}, "webhooks": ["emp"]}),
    ("Secret", "gone", {"from": {"env": "GONE"}, "webhooks": ["gon"]}),
    ("Webhook", "gh", {"verify": {"github": {"secret": "hook"}}, "pipeline": "p", "params": {"ref": "${{ body.ref }}"},
                       "where": "body.ref == 'main'", "dedupe": "header.x_github_delivery"}),
    ("Webhook", "gl", {"verify": {"gitlab": {"secret": "hook"}}, "pipeline": "p"}),
    ("Webhook", "hm", {"verify": {"hmac": {"secret": "hook", "header": "x_signature"}}, "pipeline": "p"}),
    ("Webhook", "tok", {"verify": {"token": {"secret": "hook"}}, "pipeline": "p"}),
    ("Webhook", "oth", {"verify": {"hmac": {"secret": "other", "header": "x_signature"}}, "pipeline": "p"}),
    ("Webhook", "emp", {"verify": {"token": {"secret": "empty"}}, "pipeline": "p"}),
    ("Webhook", "gon", {"verify": {"token": {"secret": "gone"}}, "pipeline": "p"}),
)  # fmt: skip
BODY = b'{"ref": "main"}'


def signed(body=BODY, key=b"the key"):
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def headers_for(hook, body=BODY, key=b"the key"):
    return {
        "gh": {"X-Hub-Signature-256": "sha256=" + signed(body, key)},
        "gl": {"X-Gitlab-Token": key.decode()},
        "hm": {"X-Signature": signed(body, key)},
        "tok": {"Authorization": f"Bearer {key.decode()}"},
    }[hook]


async def post(here, hook, body=BODY, headers=None):
    answer = await here.ask("POST", f"/hooks/{hook}", data=body, headers=headers or {})
    raw = await answer.get_data()
    return answer.status_code, orjson.loads(raw) if raw else None


@pytest.fixture
async def hooks(here):
    await here.declare(*HOOKS)
    return here


@pytest.mark.parametrize("hook", ["gh", "gl", "hm", "tok"])
async def test_the_right_proof_starts_a_run_and_a_wrong_one_is_401(hooks, hook):
    status, body = await post(hooks, hook, headers=headers_for(hook))
    assert (status, len(body["id"])) == (202, 26)
    for wrong in ({}, headers_for(hook, key=b"another key"), headers_for(hook, key=b"")):
        status, _ = await post(hooks, hook, headers=wrong)
        assert status == 401
    assert len(hooks.runs.started) == 1
    assert hooks.runs.started[0][2].kind == "webhook"


async def test_a_changed_body_is_401_and_garbage_that_is_signed_is_4xx(hooks):
    assert (await post(hooks, "hm", b'{"ref": "evil"}', headers_for("hm")))[0] == 401
    for garbage in (b"{", b"\xff\xfe", b"nonsense"):
        assert (await post(hooks, "hm", garbage, headers_for("hm", garbage)))[0] == 400
    assert (await post(hooks, "hm", b"{", {}))[0] == 401
    assert hooks.runs.started == []


async def test_a_replayed_signature_and_a_repeated_delivery_tell_the_first_run(hooks):
    first = await post(hooks, "hm", headers=headers_for("hm"))
    assert await post(hooks, "hm", headers=headers_for("hm")) == (200, first[1])
    one = await post(hooks, "gh", headers=headers_for("gh") | {"X-GitHub-Delivery": "d1"})
    other = b'{"ref": "main", "more": 1}'
    again = await post(hooks, "gh", other, headers_for("gh", other) | {"X-GitHub-Delivery": "d1"})
    assert again == (200, one[1])
    new = await post(hooks, "gh", other, headers_for("gh", other) | {"X-GitHub-Delivery": "d2"})
    assert new[0] == 200 or new[1] != one[1]
    assert hooks.runs.started[1][1] == {"ref": "main"}


async def test_deliveries_at_once_start_one_run(hooks):
    answers = await asyncio.gather(*(post(hooks, "hm", headers=headers_for("hm")) for _ in range(20)))
    assert sorted(status for status, _ in answers) == [200] * 19 + [202]
    assert len(hooks.runs.started) == 1


async def test_where_false_is_204_and_starts_nothing(hooks):
    body = b'{"ref": "dev"}'
    assert await post(hooks, "gh", body, headers_for("gh", body)) == (204, None)
    assert hooks.runs.started == []


async def test_the_key_of_another_hook_an_empty_and_a_missing_one_prove_nothing(hooks):
    assert (await post(hooks, "oth", headers={"X-Signature": signed()}))[0] == 401
    assert (await post(hooks, "emp", headers={"Authorization": "Bearer "}))[0] == 503
    assert (await post(hooks, "gon", headers={"Authorization": "Bearer x"}))[0] == 503
    assert (await post(hooks, "nope"))[0] == 404


async def test_a_body_of_two_gigabytes_is_refused_unread(hooks):
    answer = await hooks.ask("POST", "/hooks/hm", headers={"Content-Length": str(2 * 1024**3)})
    assert answer.status_code == 413
