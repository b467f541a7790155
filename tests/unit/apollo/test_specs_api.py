"""Specs as they are to be: what is no proposal is refused before git is asked."""

from __future__ import annotations

import orjson
import pytest


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"base": "r1"},
        {"base": "r1", "files": {}},
        {"base": "r1", "files": {"a.yaml": 5}},
        {"base": 1, "files": {"a.yaml": ""}},
        {"base": "r1", "files": {"a.yaml": ""}, "commit": "yes"},
        {"base": "r1", "files": {"a.yaml": ""}, "more": 1},
        {"base": "r1", "files": {"a.yaml": ""}, "message": "x" * 1001},
        *(
            {"base": "r1", "files": {path: ""}}
            for path in (
                "../a.yaml",
                "/a.yaml",
                ".git/a.yaml",
                "a/.git/b.yaml",
                "a.txt",
                "a\n.yaml",
                "-a.yaml",
                "a//b.yaml",
            )
        ),
    ],
)
async def test_what_is_no_proposal_is_refused(here, body):
    answer = await here.ask("POST", "/api/v1/specs", role="admin", json=body)
    assert answer.status_code == 422


async def test_what_zeus_refuses_is_said_with_its_reason(here):
    body = {"base": "r1", "files": {"web/a.yaml": "kind: Node"}, "commit": True}
    answer = await here.ask("POST", "/api/v1/specs", role="admin", json=body)
    assert (answer.status_code, orjson.loads(await answer.get_data())["detail"]) == (403, "not here")
