"""What LogWatches do not match is asked of the nodes that watch."""

from __future__ import annotations

import orjson

from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.records.watch import WatchRecord


async def ask(here, query=""):
    answer = await here.ask("GET", f"/api/v1/logwatches/auth/unmatched{query}", role="viewer")
    return answer.status_code, orjson.loads(await answer.get_data())


async def test_all_nodes_that_watch_are_asked_and_who_does_not_answer_is_named(here):
    assert (await ask(here))[0] == 404
    now = here.around.clock.now()
    for node, watch in (("n1", "auth"), ("n2", "auth"), ("n3", "web")):
        record = WatchRecord(watch=watch, node=node, state="watching", since=now, at=now, started=now)
        await here.around.kv.transact([Put(keys.watch(node, watch), record.to_bytes())])
    assert await ask(here) == (
        200,
        {
            "items": [
                {"node": "n1", "line": "auth b", "count": 5},
                {"node": "n1", "line": "auth a", "count": 1},
            ],
            "next": None,
            "unanswered": [{"node": "n2", "why": "node n2 did not answer"}],
        },
    )
    assert (await ask(here, "?node=n1&limit=1"))[1]["unanswered"] == []
    assert (await ask(here, "?node=n3"))[0] == 404
