"""What pages say is decided without HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from olympus.apollo.pages import (
    view_forms,
    view_graph,
    view_incidents,
    view_lists,
    view_problems,
    view_runs,
    view_words,
)
from olympus.kernel.clock import rfc3339

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def at(seconds):
    return rfc3339(NOW + timedelta(seconds=seconds))


def item(name, status="True", reason="Applied", message="", labels=None, **spec):
    ready = {"type": "Ready", "status": status, "reason": reason, "message": message, "since": at(0)}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {"conditions": [ready]},
    }


def step(name="a", state="succeeded", begun=0, ended=1, **more):
    return {
        "name": name, "node": "n1", "attempt": 1, "state": state, "exit": 0, "output": None, "message": "",
        "startedAt": None if begun is None else at(begun), "finishedAt": None if ended is None else at(ended), **more,
    }  # fmt: skip


def run(*steps, pipeline="p", state="succeeded", run_id="r1", begun=0, ended=10):
    return {
        "id": run_id, "pipeline": pipeline, "state": state, "message": "it ended so", "steps": list(steps),
        "createdAt": at(begun), "startedAt": at(begun), "finishedAt": None if ended is None else at(ended),
    }  # fmt: skip


def test_what_is_well_is_no_problem():
    assert view_problems.of_resources("Service", [item("web"), item("db", "True", "Healthy")]) == []


def test_problems_are_said_worst_first_then_oldest_first_with_what_to_do():
    services = [
        item("held", "False", "Suspended"),
        item("starts", "False", "Starting"),
        item("loops", "False", "CrashLooping", "exit code 3"),
    ]
    found = view_problems.of_resources("Service", services)
    older = view_problems.of_runs(
        [run(step("dump", "failed", message="exit code 7"), state="failed", begun=-9, ended=-5)]
    )
    order = view_problems.worst_first(found + older)
    assert [(one.tone, one.reason) for one in order] == [
        ("bad", "failed"),
        ("bad", "CrashLooping"),
        ("warn", "Starting"),
        ("dull", "Suspended"),
    ]
    assert order[0].message == "step 'dump' on n1: exit code 7"
    assert order[1].link == "/services/loops"
    assert all(one.next for one in order)


def test_only_the_last_run_of_a_pipeline_counts():
    again = [run(run_id="r2"), run(state="failed", run_id="r1")]
    assert view_problems.of_runs(again) == []
    assert [one.link for one in view_problems.of_runs(again[::-1])] == ["/runs/r1"]


def test_a_run_that_waits_for_a_yes_is_a_problem_until_it_has_one():
    asking = run(step("ok", "waiting", ended=None, role="operator"), state="waiting", ended=None)
    [problem] = view_problems.of_runs([asking])
    assert problem.reason == "WaitsForApproval"
    assert view_problems.of_runs([run(step("ok"))]) == []


def incident(state="open", acked=None, **more):
    return {
        "id": "i1", "rule": "guard", "state": state, "openedAt": at(0), "closedAt": None, "acked": acked,
        "decisions": [{"at": at(0), "clause": "a > 1", "value": True, "because": "a is 2"}], "attempts": [],
        "comments": [], "trigger": {"type": "x.y"}, **more,
    }  # fmt: skip


def test_an_escalated_incident_is_a_problem_until_somebody_cares_for_it():
    assert [one.tone for one in view_problems.of_incidents([incident("escalated")])] == ["bad"]
    assert view_problems.of_incidents([incident("escalated", {"at": at(1), "by": "eva"})]) == []
    assert view_problems.of_incidents([incident("resolved"), incident("silenced")]) == []


def test_the_time_line_of_an_incident_is_in_the_order_of_time():
    tried = {
        "pipeline": "block", "run": "r1", "startedAt": at(2), "endedAt": at(9), "state": "succeeded", "message": "",
        "verified": True,
    }  # fmt: skip
    shown = view_incidents.page(
        incident(
            "resolved",
            {"at": at(5), "by": "eva"},
            attempts=[tried],
            comments=[{"at": at(4), "by": "eva", "text": "I look"}],
            closedAt=at(10),
        )
    )
    assert [(one["what"], one["says"]) for one in shown["line"]] == [
        ("opened", "by x.y"),
        ("tried", "pipeline block"),
        ("eva says", "I look"),
        ("acknowledged", "by eva"),
        ("ended", "block succeeded, and it helped"),
        ("resolved", ""),
    ]
    assert shown["why"] == "a is 2"


def test_bars_say_when_within_its_run_each_step_went():
    shown = view_runs.page(
        run(
            step("a", begun=0, ended=5),
            step("b", begun=5, ended=10),
            step("c", "pending", begun=None, ended=None),
        ),
        NOW,
    )
    assert [(one["x"], one["width"]) for one in shown["steps"]] == [(0, 500), (500, 500), (0, 0)]
    assert not shown["live"]


@pytest.mark.parametrize(
    ("begun", "ended"), [(-5, 99), (10, 10), (0, 0), (99, 99)], ids=["clocks", "quick", "none", "late"]
)
def test_a_bar_stays_within_its_drawing(begun, ended):
    [bar] = view_runs.page(run(step(begun=begun, ended=ended)), NOW)["steps"]
    assert 0 <= bar["x"] <= bar["x"] + bar["width"] <= 1000
    assert bar["width"] > 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (59, "59.0 s"), (61, "1 min 1 s"), (7320, "2 h 2 min")]
)
def test_how_long_is_said_in_two_units_at_most(seconds, words):
    assert view_runs.lasted(at(0), at(seconds), NOW) == words


def test_lists_are_filtered_by_name_or_selector_and_cut():
    many = [item(f"web-{i}", labels={"role": "web" if i % 2 else "db"}) for i in range(450)]
    first = view_lists.part(many, "", 0)
    assert (len(first.items), first.before, first.after, first.total) == (200, None, 200, 450)
    last = view_lists.part(many, "", 400)
    assert (len(last.items), last.before, last.after) == (50, 200, None)
    assert view_lists.part(many, "", 10**9).items == last.items
    assert view_lists.part(many, "role=web", 0).total == 225
    assert [one["metadata"]["name"] for one in view_lists.part(many, "EB-44", 0).items][:2] == [
        "web-44",
        "web-440",
    ]
    wrong = view_lists.part(many, "role in (", 0)
    assert (wrong.total, bool(wrong.wrong)) == (0, True)


def test_the_rate_has_a_bar_for_each_minute_in_which_something_came():
    shown = view_lists.rate([at(-30), at(-31), at(-150), at(-7200), at(60)], NOW)
    assert shown == {"width": 60, "top": 2, "bars": [{"x": 59, "height": 40.0}, {"x": 57, "height": 20.0}]}
    assert view_lists.rate([at(-7200)], NOW) is None


def test_fields_of_a_form_have_the_types_of_the_schema():
    schema = {
        "required": ["ip", "times"],
        "properties": {
            "ip": {"type": "string", "description": "whose"},
            "times": {"type": "integer", "default": 3},
            "dry": {"type": "boolean"},
            "zone": {"enum": ["a", "b"]},
            "more": {"type": "array"},
        },
    }
    found = {one["name"]: one for one in view_forms.fields(schema)}
    assert {name: one["type"] for name, one in found.items()} == {
        "ip": "text", "times": "number", "dry": "boolean", "zone": "choice", "more": "json",
    }  # fmt: skip
    assert [name for name, one in found.items() if one["required"]] == ["ip"]
    assert view_forms.fields(None) == []


def test_orders_that_would_change_nothing_are_not_offered():
    orders = ("restart", "start", "stop", "suspend", "resume")
    assert view_words.fitting(orders, item("web")) == ["restart", "stop", "suspend"]
    assert view_words.fitting(orders, item("web", "False", "Suspended")) == ["restart", "stop", "resume"]
    drained = item("n1")
    drained["status"]["drained"] = True
    assert view_words.fitting(("drain", "uncordon"), drained) == ["uncordon"]


def test_specs_are_said_in_a_few_words():
    assert (
        view_words.when(item("s", cron="0 3 * * *", timezone="Europe/Berlin"))
        == "cron 0 3 * * * in Europe/Berlin"
    )
    assert view_words.when(item("s", every="5m", paused=True)) == "every 5m, paused"
    berlin = item("s", cron="30 2 * * *", timezone="Europe/Berlin")
    assert view_words.in_zone("2026-11-27T01:30:00.000000Z", berlin) == "Fri 27 Nov 02:30:00 CET"
    assert view_words.looks_at(item("c", disk={"path": "/var"}, every="1m")) == "disk /var, every 1m"
    assert view_words.looks_at(item("c", load={})) == "load, every 1m"
    assert (
        view_words.listens_to(item("r", on={"event": "a.b", "where": "data.x > 1"})) == "a.b where data.x > 1"
    )
    assert view_words.does({"name": "x", "run": ["echo", "hi"]}) == "run echo hi"
    assert view_words.diff("+a\n-b\n c") == [("plus", "+a"), ("minus", "-b"), ("", " c")]


def test_a_drawing_has_the_thing_in_its_middle_and_every_end_of_a_line_in_it():
    ends = [
        {"kind": "Asset", "name": "switch"},
        *({"kind": "Asset", "name": f"a-rather-long-name-{n}"} for n in range(30)),
    ]
    edges = [{"from": ends[0], "to": one, "how": "feeds"} for one in ends[1:]]
    drawn = view_graph.picture(ends, edges)
    assert drawn["nodes"][0] | {"x": drawn["width"] / 2, "y": drawn["height"] / 2} == drawn["nodes"][0]
    assert (len(drawn["nodes"]), len(drawn["edges"]), drawn["more"]) == (24, 23, 7)
    places = {(one["x"], one["y"]) for one in drawn["nodes"]}
    assert {(one["x2"], one["y2"]) for one in drawn["edges"]} < places
    assert all(0 < x < drawn["width"] and 0 < y < drawn["height"] for x, y in places)
    assert len(places) == 24
    assert view_graph.picture(ends[:1], []) is None
