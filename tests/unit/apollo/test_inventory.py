"""The inventory: changes field by field, told once each, over kills between any two steps."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime

import orjson
import pytest

from olympus.apollo.inventory.changes import as_diff, asset_changes, field_changes
from olympus.apollo.inventory.reminders import Reminded, Reminders, due
from olympus.apollo.inventory.telling import AssetNews
from olympus.hermes import keys
from olympus.hermes.kv import Put, TransactionConflict
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import HermesUnreachable
from olympus.records.blobs import save_blob
from olympus.records.catalog import CatalogRoot
from olympus.records.incident import Incident
from olympus.spec.catalog import Catalog, resource_of
from olympus.testing.clock import VirtualClock


def asset(name, labels=None, **spec):
    return resource_of(
        {
            "kind": "Asset",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"type": "laptop", **spec},
        }
    )


def test_each_field_that_changed_is_named_with_both_values():
    before = Catalog([asset("a", owner="ann", fields={"ram": 8, "tags": ["x"]}), asset("gone")])
    after = Catalog(
        [asset("a", {"team": "shop"}, owner="bob", fields={"ram": 16, "tags": ["x"]}), asset("new")]
    )
    a, gone, new = asset_changes(before, after)
    assert (a.verb, gone.verb, new.verb) == ("update", "delete", "create")
    assert [(one.field, one.old, one.new) for one in a.fields] == [
        ("metadata.labels.team", None, "shop"),
        ("spec.fields.ram", 8, 16),
        ("spec.owner", "ann", "bob"),
    ]
    assert as_diff(a.fields) == (
        "+metadata.labels.team: shop\n-spec.fields.ram: 8\n+spec.fields.ram: 16\n-spec.owner: ann\n+spec.owner: bob"
    )
    assert as_diff(gone.fields) == "-spec.type: laptop"


def test_a_diff_is_bounded():
    wide = field_changes(None, {"spec": {f"f{n:04}": "x" for n in range(5000)}})
    assert as_diff(wide).endswith("… 4900 fields more")
    long = as_diff(field_changes(None, {"spec": {"text": "x" * 100_000}}))
    assert len(long) < 1000
    assert "100000 characters" in long


async def apply(here, revision, *assets, author="Ann <ann@example.org>"):
    blob = await save_blob(here.kv, Catalog(assets).to_bytes())
    root = CatalogRoot(revision=revision, author=author, committed_at=SystemClock().now(), resources=blob)
    await here.kv.transact([Put(keys.CATALOG, root.to_bytes())])


def news(here, bus=None):
    return AssetNews(here.kv, bus or here.bus, here.around.clock, here.around.catalogs)


async def told(here):
    found, _ = await here.bus.history(types=["olympus.apollo.asset-changed"], newest_first=False, limit=1000)
    return [(one.data["revision"], one.data["verb"], one.data["name"]) for one in found]


async def test_each_change_is_told_once_with_who_and_what(here):
    await apply(here, "r1", asset("a", owner="ann"))
    await news(here).tell()
    await news(here).tell()
    await apply(here, "r2", asset("a", owner="bob"), author="Bob <bob@example.org>")
    await news(here).tell()
    await apply(here, "r3", asset("a", owner="bob"))
    await news(here).tell()
    assert await told(here) == [("r1", "create", "a"), ("r2", "update", "a")]
    [last, _], _ = await here.bus.history(types=["olympus.apollo.asset-changed"], limit=2)
    assert last.data["actor"] == "Bob <bob@example.org>"
    assert last.data["diff"] == "-spec.owner: ann\n+spec.owner: bob"
    assert last.data["fields"] == ["spec.owner"]
    assert last.subject == "a"


class Failing:
    """A bus on which the n-th publishing is lost: before it is done, or after."""

    def __init__(self, bus, at, *, done):
        self._bus, self._at, self._done, self.count = bus, at, done, 0

    def __getattr__(self, name):
        return getattr(self._bus, name)

    async def publish(self, events, ops):
        self.count += 1
        if self.count == self._at and not self._done:
            raise HermesUnreachable("cut")
        await self._bus.publish(events, ops)
        if self.count == self._at:
            raise HermesUnreachable("cut")


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_large_change_that_is_cut_off_and_overtaken_is_told_whole_and_once(here, at, done):
    many = [asset(f"a{n:03}") for n in range(120)]
    await apply(here, "r1", *many)
    with pytest.raises(HermesUnreachable):
        await news(here, Failing(here.bus, at, done=done)).tell()
    # Another commit comes while the first is told in part.
    await apply(here, "r2", *[asset(f"a{n:03}", owner="bob") for n in range(119)])
    await news(here).tell()
    found = await told(here)
    first = [name for revision, verb, name in found if (revision, verb) == ("r1", "create")]
    if at == 1 and not done:
        # Nothing of r1 was ever told: r2 is all that happened.
        assert first == []
        assert len(found) == len(set(found)) == 119
    else:
        assert first == [one.name for one in many]
        assert [verb for revision, verb, _ in found if revision == "r2"] == ["update"] * 119 + ["delete"]
        assert len(found) == len(set(found)) == 240


async def test_of_two_hosts_one_tells_it(here):
    await apply(here, "r1", *[asset(f"a{n:03}") for n in range(120)])
    first, second = news(here), news(here)
    await asyncio.gather(first.tell(), second.tell())
    found = await told(here)
    assert len(found) == len(set(found)) == 120


def test_reminders_come_nearer_and_begin_anew_with_another_date():
    def told(expires, today, *before):
        catalog = Catalog([asset("a", expires=expires), asset("never")])
        return [(one.level, one.days_left) for one in due(catalog, dict(before), date.fromisoformat(today))]

    def before(expires, level):
        return ("a", Reminded(expires=expires, level=level))

    end = "2027-01-31"
    assert told(end, "2026-12-31") == []
    assert told(end, "2027-01-01") == [(30, 30)]
    assert told(end, "2027-01-02", before(end, 30)) == []
    assert told(end, "2027-01-24", before(end, 30)) == [(7, 7)]
    # Who was away is told the nearest alone.
    assert told(end, "2027-01-30", before(end, 30)) == [(1, 1)]
    assert told(end, "2027-01-31", before(end, 1)) == []
    assert told(end, "2027-02-01", before(end, 1)) == [(0, -1)]
    assert told(end, "2027-06-01", before(end, 0)) == []
    assert told("2027-06-15", "2027-06-01", before(end, 0)) == [(30, 14)]


async def test_reminders_are_told_once_over_restarts_and_by_one_of_two_hosts(here):
    clock = VirtualClock(datetime(2027, 1, 1, tzinfo=UTC))
    await apply(here, "r1", *[asset(f"a{n:03}", expires="2027-01-31", owner="ann") for n in range(120)])

    async def tell():
        with suppress(TransactionConflict):
            await Reminders(here.kv, here.bus, clock, here.around.catalogs).tell()

    async def names(type_):
        found, _ = await here.bus.history(types=[type_], limit=1000)
        return sorted(one.data["name"] for one in found)

    for _ in range(3):
        await asyncio.gather(tell(), tell())
    assert await names("olympus.apollo.asset-expiring") == [f"a{n:03}" for n in range(120)]
    clock.advance(40 * 86_400)
    await tell()
    await tell()
    assert len(await names("olympus.apollo.asset-expiring")) == 120
    assert len(await names("olympus.apollo.asset-expired")) == 120
    [last], _ = await here.bus.history(types=["olympus.apollo.asset-expired"], limit=1)
    assert (last.data["owner"], last.data["expires"], last.data["daysLeft"]) == ("ann", "2027-01-31", -10)


def linked(name, *to):
    return (
        "Asset",
        name,
        {"type": "x", "relations": [{"to": one, "how": "uses"} for one in to]},
        {"team": "shop"},
    )


async def relations(here, name, query="", role="admin"):
    answer = await here.ask("GET", f"/api/v1/assets/{name}/relations{query}", role=role)
    return answer.status_code, orjson.loads(await answer.get_data())


async def test_relations_are_seen_from_both_ends_as_far_as_asked(here):
    await here.declare(
        linked("a", "b", "node/web-1"), linked("b", "c"), linked("c", "a", "nobody"), linked("z", "c"),
        ("Node", "web-1", {}),
    )  # fmt: skip
    _, found = await relations(here, "a")
    shown = {(e["from"]["name"], e["to"]["name"]) for e in found["items"]}
    assert shown == {("a", "b"), ("a", "web-1"), ("c", "a")}
    ends = {(one["kind"], one["name"], one["type"], one["known"]) for one in found["nodes"]}
    assert ("Node", "web-1", "node", True) in ends
    assert found["nodes"][0]["name"] == "a"
    _, far = await relations(here, "a", "?depth=2")
    assert {(e["from"]["name"], e["to"]["name"]) for e in far["items"]} == shown | {
        ("b", "c"),
        ("c", "nobody"),
        ("z", "c"),
    }
    assert {"kind": None, "name": "nobody", "type": "", "known": False} in far["nodes"]
    assert (await relations(here, "a", "?depth=6"))[0] == 400
    assert (await relations(here, "nope"))[0] == 404


async def test_relations_to_what_is_not_in_view_are_not_there(here):
    await here.declare(
        linked("a", "b", "secret"),
        linked("b"),
        ("Asset", "secret", {"type": "x", "relations": [{"to": "b", "how": "uses"}]}, {"team": "bank"}),
        ("Access", "shop", {"users": ["viewer"], "role": "viewer", "selector": "team=shop"}),
    )
    _, found = await relations(here, "a", "?depth=5", role="viewer")
    assert "secret" not in str(found)
    assert len(found["items"]) == 1
    assert (await relations(here, "secret", role="viewer"))[0] == 404


async def test_incidents_of_an_asset_are_linked_also_by_its_address(here):
    here_is = {"type": "host", "fields": {"addresses": ["203.0.113.7"]}}
    await here.declare(("Asset", "web", here_is), ("Asset", "other", {"type": "host"}))
    now = SystemClock().now()
    for name, key in (("one", "203.0.113.7"), ("two", "web"), ("three", "198.51.100.1")):
        incident = Incident(id=name, rule="r", key=key, state="open", opened_at=now, changed_at=now, event={})
        await here.kv.transact([Put(keys.incident(name), incident.to_bytes())])
    _, found = await relations(here, "web")
    assert {one["id"] for one in found["incidents"]} == {"one", "two"}
    _, found = await relations(here, "other")
    assert found["incidents"] == []


def test_dates_that_a_type_names_are_reminded_of_beside_expires():
    type_ = resource_of(
        {"kind": "AssetType", "metadata": {"name": "laptop"}, "spec": {"reminders": ["warranty", "lease"]}}
    )
    fields = {"warranty": "2027-01-31", "lease": "soon", "other": "2027-01-31"}
    catalog = Catalog([type_, asset("a", expires="2027-01-10", fields=fields)])
    found = due(catalog, {"a": Reminded(expires="2027-01-10", level=7)}, date(2027, 1, 5))
    assert [(one.key, one.field, one.level) for one in found] == [("a/warranty", "warranty", 30)]
