"""One search over notes, specs, incidents and runs: by words, by how they begin, and mistyped."""

from __future__ import annotations

import orjson
import pytest

from olympus.apollo.notes.texts_sqlite import edits
from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.kernel.clock import SystemClock
from olympus.records.run import Run

NOTES = {
    "runbooks/restart": "---\ntags: [postgres]\n---\n# Restart the database\n\nFirst drain the replicas; failover.\n",
    "incidents/2026": "# What happened\n\nThe certificate of the registry was over.\n",
    "menü": "# Überblick\n\nSpätzle über alles.\n",
    "ops_on-call": "# Who is on call\n\nring ring\n",
}


@pytest.fixture
async def filled(here):
    for path, text in NOTES.items():
        await here.ask("PUT", f"/api/v1/notes/{path}", role="operator", data=orjson.dumps({"markdown": text}))
    process = {"run": {"process": {"command": ["postgres-exporter"]}}}
    await here.declare(
        ("Service", "shop-database", process, {"team": "shop"}),
        ("Pipeline", "failover-database", {"steps": [{"name": "go", "run": ["true"]}]}, {"team": "bank"}),
        ("Asset", "laptop-7", {"type": "laptop", "fields": {"owner": "Zsófia"}}),
    )
    return here


async def found(here, asked, role="viewer", **more):
    answer = await here.ask("GET", "/api/v1/search", role=role, query_string={"q": asked, **more})
    assert answer.status_code == 200, await answer.get_data()
    return orjson.loads(await answer.get_data())["items"]


async def names(here, asked, **more):
    return {(one["kind"], one["name"]) for one in await found(here, asked, **more)}


async def test_notes_and_specs_are_found_by_their_words_and_how_they_begin(filled):
    assert await names(filled, "database") == {
        ("note", "runbooks/restart"), ("Service", "shop-database"), ("Pipeline", "failover-database"),
    }  # fmt: skip
    assert await names(filled, "drain repl") == {("note", "runbooks/restart")}
    assert await names(filled, "postgres") == {("note", "runbooks/restart"), ("Service", "shop-database")}
    assert await names(filled, "zsofia") == {("Asset", "laptop-7")}
    assert await names(filled, "spatzle") == await names(filled, "SPÄTZLE") == {("note", "menü")}
    assert await names(filled, "call") == {("note", "ops_on-call")}
    (first, *_) = await found(filled, "restart")
    assert first["title"] == "Restart the database"
    assert "drain the replicas" in (await found(filled, "replicas"))[0]["snippet"]
    assert len(await found(filled, "database", limit=1)) == 1


@pytest.mark.parametrize(
    "asked", ["certifcate", "certificat", "registyr", "failovr databse", "resrtat", "overblick", "rnig"]
)
async def test_a_misspelt_word_finds_what_was_meant(filled, asked):
    assert await names(filled, asked)


async def test_a_word_that_is_mistyped_elsewhere_too_finds_what_was_meant(filled):
    await filled.declare(("Asset", "odd", {"type": "laptop", "fields": {"note": "restrat"}}))
    assert await names(filled, "restrat database") == {("note", "runbooks/restart")}


async def test_what_is_not_there_is_not_found_and_nothing_in_a_query_is_syntax(filled):
    for asked in (
        "nothinglikethis",
        "database zebra",
        '"',
        "a OR b",
        "title:x",
        "NEAR(a b)",
        "x*y",
        "^",
        "(",
        "\0",
        "😀",
    ):
        await found(filled, asked)
    assert await names(filled, "database zebra") == set()
    assert (await filled.ask("GET", "/api/v1/search", role="viewer")).status_code == 400
    assert (await filled.ask("GET", "/api/v1/search?q=" + "x" * 300, role="viewer")).status_code == 400


async def test_what_changes_is_found_anew(filled):
    await filled.ask("DELETE", "/api/v1/notes/runbooks/restart", role="operator", data=b"")
    await filled.declare(("Service", "shop-web", {"run": {"process": {"command": ["nginx"]}}}))
    assert await names(filled, "database") == set()
    assert await names(filled, "nginx") == {("Service", "shop-web")}


async def test_a_run_is_found_by_its_id(filled):
    run = Run(
        id="01abcdefgh", pipeline="failover-database", revision="r", created_at=SystemClock().now(), spec="d"
    )
    await filled.kv.transact([Put(keys.run(run.id), run.to_bytes())])
    assert await names(filled, "01abcdefgh") == await names(filled, "01ABCDE") == {("run", "01abcdefgh")}


async def test_who_is_restricted_finds_what_is_in_view(filled):
    process = {"run": {"process": {"command": ["postgres-exporter"]}}}
    await filled.declare(
        ("Service", "shop-database", process, {"team": "shop"}),
        ("Service", "bank-database", process, {"team": "bank"}),
        (
            "Access",
            "shop",
            {"users": ["viewer"], "role": "viewer", "selector": "team=shop", "notes": ["incidents"]},
        ),
    )
    assert await names(filled, "database") == {("Service", "shop-database")}
    assert await names(filled, "certificate") == {("note", "incidents/2026")}
    assert await names(filled, "drain") == set()


@pytest.mark.parametrize(
    ("a", "b", "number"),
    [
        ("abc", "abc", 0),
        ("abc", "acb", 1),
        ("abc", "ab", 1),
        ("abc", "xbc", 1),
        ("kitten", "sitting", 3),
        ("", "ab", 2),
    ],
)
def test_edits_are_those_of_damerau_and_levenshtein(a, b, number):
    assert edits(a, b, 9) == edits(b, a, 9) == number
    assert edits(a, b, 1) > 1 or number <= 1
