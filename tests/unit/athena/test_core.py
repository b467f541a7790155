"""Incidents on a virtual clock: from events to a remedy that is verified, or to a person."""

from __future__ import annotations

import pytest

from olympus.athena.model import Acked, Commented
from olympus.kernel.events import Event
from tests.unit.athena.story import GUARD, Story

ASKS = """
on: {event: shop.attacked}
ask:
  lines: {argos: {node: "${{ event.node }}", contains: sshd}, timeout: 2s, unknown: UNKNOWN}
  owner: {apollo: {asset: "${{ event.node }}"}, unknown: proceed}
when: "length(answers.lines) > 1"
solve: [{pipeline: fix, verify: {absent: {event: shop.attacked}, within: 1m}}]
otherwise: {pipeline: page}
"""
FIX = "solve: [{pipeline: fix, verify: {absent: {event: shop.attacked}, within: 1m}}]"


def outcomes(came):
    return [one.outcome for one in came]


class TestFromAnEventToItsRemedy:
    def test_an_event_that_matches_starts_the_first_remedy(self):
        story = Story(guard=GUARD).rules()
        assert outcomes(story.login()) == ["fired"]
        assert story.state == "solving"
        assert [(one.pipeline, one.params) for one in story.started] == [("block-ip", {"ip": "203.0.113.7"})]
        assert [type_ for type_, _ in story.told] == ["incident-opened", "decided"]

    def test_another_event_starts_nothing(self):
        story = Story(guard=GUARD).rules()
        assert story.event(name="good-login") == []
        assert story.event("shop.attacked", name="bad-login") == []
        assert not story.stored

    def test_what_follows_joins_the_open_incident(self):
        story = Story(guard=GUARD).rules()
        story.login()
        assert outcomes(story.login()) == ["duplicate"]
        assert outcomes(story.login("198.51.100.1")) == ["fired"]
        assert sorted(one.events for one in story.stored.values()) == [("e1", "e2"), ("e3",)]
        assert len(story.started) == 2

    def test_the_same_event_told_again_changes_nothing(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.count -= 1
        story.login()
        assert story.incident.events == ("e1",)
        assert len(story.started) == 1

    def test_an_event_of_a_closed_incident_told_again_opens_none(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run()
        story.passes(121)
        story.look(value=True)
        assert story.state == "resolved"
        again = Event.from_json(story.incident.event)
        assert outcomes(story.tell_event(again)) == ["duplicate"]
        assert len(story.stored) == 1

    def test_a_key_that_is_missing_makes_no_incident(self):
        story = Story(guard=GUARD).rules()
        (came,) = story.event(name="bad-login", groups={})
        assert came.outcome == "missing"
        assert came.clauses[-1].text == "limits.by data.groups.ip"

    def test_without_limits_the_key_is_the_node(self):
        story = Story(rule=f"on: {{event: shop.attacked}}\n{FIX}").rules()
        story.event("shop.attacked", node="web-1")
        assert outcomes(story.event("shop.attacked", node="web-1")) == ["duplicate"]
        assert outcomes(story.event("shop.attacked", node="web-2")) == ["fired"]


class TestVerification:
    def test_what_stays_away_is_resolved_once_it_is_known_that_somebody_looks(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run()
        assert story.state == "verifying"
        story.passes(119)
        assert story.state == "verifying"
        assert not story.looks
        story.passes(2)
        story.look(value=True, because="watch sshd is alive on web-1")
        assert story.state == "resolved"
        assert story.incident.attempts[0].verified is True
        assert story.told[-1][0] == "resolved"

    def test_silence_of_a_dead_watch_is_no_good_sign(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run()
        story.passes(121)
        story.look(value=False, because="node web-1 is lost")
        assert story.incident.attempts[0].verified is False
        assert story.pipelines == ["block-ip", "isolate-node"]

    def test_nor_is_that_nobody_says_whether_it_lives(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run()
        story.passes(minutes=3)
        assert story.pipelines == ["block-ip", "isolate-node"]

    def test_an_event_that_comes_again_leads_to_the_next_remedy(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run()
        story.passes(10)
        story.login("198.51.100.1")
        assert story.pipelines[:1] == ["block-ip"]
        story.login()
        assert story.incident.rule == "guard"
        first = next(one for one in story.stored.values() if one.key == "203.0.113.7")
        assert [one.pipeline for one in first.attempts] == ["block-ip", "isolate-node"]
        assert first.attempts[0].verified is False

    def test_what_came_before_the_remedy_was_applied_says_nothing(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.passes(5)
        story.login()
        story.end_run()
        story.login()
        assert story.state == "verifying"

    def test_a_state_is_looked_at_until_it_is_so(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run("failed", "no nft here")
        assert story.pipelines == ["block-ip", "isolate-node"]
        story.end_run()
        story.look(value=False, because="check ssh-up: failing")
        assert story.state == "verifying"
        story.passes(2)
        story.look(value=True, because="check ssh-up: passing")
        assert story.state == "resolved"

    def test_a_state_that_does_not_come_ends_the_ladder_and_pages(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run("failed")
        story.end_run()
        while story.state == "verifying":
            story.passes(10)
            while story.looks:
                story.look(value=False, because="check ssh-up: failing")
        assert story.state == "escalated"
        assert story.pipelines == ["block-ip", "isolate-node", "page-on-call"]
        assert story.told[-1][0] == "escalated"
        assert "2 remedies did not help" in story.because()

    def test_an_unknown_run_is_verified_all_the_same(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run("unknown")
        assert story.state == "verifying"

    def test_a_condition_is_asked_anew(self):
        rule = """
on: {event: shop.attacked}
ask: {load: {http: {url: "http://shop/load"}}, owner: {apollo: {asset: web}}}
solve: [{pipeline: fix, verify: {until: "answers.load.value < 5", within: 1m}}]
"""
        story = Story(rule=rule).rules()
        story.event("shop.attacked")
        story.answer("load", {"value": 9})
        story.answer("owner", {"team": "shop"})
        story.end_run()
        assert list(story.asks) == ["load"]
        story.answer("load", {"value": 8})
        assert story.state == "verifying"
        story.passes(2)
        story.answer("load", {"value": 3})
        assert story.state == "resolved"
        assert story.incident.answers["load"] == {"value": 9}


class TestEvidence:
    def test_nothing_is_decided_before_all_is_answered(self):
        story = Story(rule=ASKS.replace("UNKNOWN", "stop")).rules()
        assert outcomes(story.event("shop.attacked")) == ["fired"]
        assert story.state == "asking"
        story.answer("lines", [{"line": "a"}, {"line": "b"}])
        assert not story.started
        story.answer("owner", {"team": "shop"})
        assert story.pipelines == ["fix"]
        assert story.incident.answers == {"lines": [{"line": "a"}, {"line": "b"}], "owner": {"team": "shop"}}

    def test_a_condition_that_the_answers_do_not_meet_makes_no_incident(self):
        story = Story(rule=ASKS.replace("UNKNOWN", "stop")).rules()
        story.event("shop.attacked")
        story.answer("lines", [])
        story.answer("owner", {})
        assert story.state == "dismissed"
        assert not story.told
        assert story.incident.decisions[-1].value is False

    @pytest.mark.parametrize(
        ("policy", "state", "started"),
        [("stop", "dismissed", []), ("escalate", "escalated", ["page"]), ("proceed", "dismissed", [])],
    )
    def test_what_nobody_answers(self, policy, state, started):
        story = Story(rule=ASKS.replace("UNKNOWN", policy)).rules()
        story.event("shop.attacked")
        story.answer("owner", {})
        story.no_answer("lines", "argos on web-1 did not answer within 2s")
        assert (story.state, story.pipelines) == (state, started)
        assert story.incident.unanswered == {"lines": "argos on web-1 did not answer within 2s"}

    def test_who_asks_may_be_lost(self):
        story = Story(rule=ASKS.replace("UNKNOWN", "escalate")).rules()
        story.event("shop.attacked")
        story.asks.clear()
        story.passes(15)
        assert story.state == "escalated"

    def test_a_large_answer_is_cut(self):
        story = Story(rule=ASKS.replace("UNKNOWN", "stop")).rules()
        story.event("shop.attacked")
        story.answer("lines", [{"line": "x" * 1000}] * 100)
        assert 10 < len(story.incident.answers["lines"]) < 40


class TestLimits:
    def rule(self, limits: str) -> Story:
        return Story(rule=f"on: {{event: shop.attacked}}\n{FIX}\nlimits: {{{limits}}}").rules()

    def resolve(self, story: Story) -> None:
        story.end_run()
        story.passes(61)
        while story.looks:
            story.look(value=True)
        assert story.state == "resolved"

    def test_a_cooldown_counts_from_the_last_remedy(self):
        story = self.rule("cooldown: 10m")
        story.event("shop.attacked")
        self.resolve(story)
        (came,) = story.event("shop.attacked")
        assert came.outcome == "limited"
        assert "cooldown of 10m until 2026-01-01T00:10:00" in came.clauses[-1].because
        assert outcomes(story.event("shop.attacked", node="web-2")) == ["fired"]
        story.passes(minutes=9)
        assert outcomes(story.event("shop.attacked")) == ["fired"]

    def test_a_budget_of_an_hour(self):
        story = self.rule("perHour: 2")
        for _ in range(2):
            story.event("shop.attacked")
            self.resolve(story)
        assert outcomes(story.event("shop.attacked")) == ["limited"]
        story.passes(minutes=58)
        assert outcomes(story.event("shop.attacked")) == ["fired"]

    def test_a_budget_also_ends_a_ladder(self):
        story = Story(guard=GUARD.replace("groups.ip}", "groups.ip, perHour: 1}")).rules()
        story.login()
        story.end_run("failed")
        assert story.state == "escalated"
        assert story.pipelines == ["block-ip", "page-on-call"]
        assert "1 runs in an hour" in story.because()

    def test_a_share_of_the_nodes(self):
        nodes = [f"n{number}" for number in range(10)]
        story = Story(*nodes, rule=f"on: {{event: shop.attacked}}\n{FIX}\nlimits: {{maxNodes: 20%}}").rules()
        assert [outcomes(story.event("shop.attacked", node=node))[0] for node in nodes] == [
            *["fired"] * 2,
            *["limited"] * 8,
        ]

    def test_the_breaker_opens_at_a_hundred_runs_in_a_minute(self):
        story = Story(rule=f"on: {{event: shop.attacked}}\n{FIX}\nlimits: {{by: data.n}}").rules()
        came = [outcomes(story.event("shop.attacked", n=number))[0] for number in range(150)]
        assert came == [*["fired"] * 100, *["limited"] * 50]
        story.passes(minutes=9)
        assert outcomes(story.event("shop.attacked", n=200)) == ["limited"]
        story.passes(minutes=2)
        assert outcomes(story.event("shop.attacked", n=201)) == ["fired"]

    def test_an_event_that_is_too_deep_starts_nothing(self):
        story = Story(rule=f"on: {{event: shop.attacked}}\n{FIX}").rules()
        assert outcomes(story.event("shop.attacked", depth=16)) == ["fired"]
        assert outcomes(story.event("shop.attacked", node="web-2", depth=17)) == ["limited"]

    def test_ten_thousand_alerts_are_one_incident(self):
        story = Story(guard=GUARD).rules()
        for _ in range(10_000):
            story.login()
        assert len(story.stored) == len(story.started) == 1
        assert story.incident.joined == 9_999
        assert len(story.incident.events) == 50


class TestSilence:
    def test_what_comes_in_a_silence_starts_nothing(self):
        story = Story(guard=GUARD).rules()
        story.silence("guard")
        assert outcomes(story.login()) == ["silenced"]
        assert outcomes(story.login()) == ["duplicate"]
        assert (story.state, story.started) == ("silenced", [])
        assert "we work on it" in story.because()

    def test_after_it_nothing_stale_is_acted_on_and_what_comes_is_new(self):
        story = Story(guard=GUARD).rules()
        story.silence(minutes=30)
        story.login()
        story.passes(minutes=31)
        assert not story.started
        assert outcomes(story.login()) == ["fired"]
        assert story.pipelines == ["block-ip"]

    def test_it_covers_the_nodes_that_its_selector_names(self):
        story = Story(guard=GUARD).rules()
        story.silence(selector="zone=a", labels={"web-1": {"zone": "a"}, "web-2": {"zone": "b"}})
        assert outcomes(story.login("203.0.113.1", node="web-1")) == ["silenced"]
        assert outcomes(story.login("203.0.113.2", node="web-2")) == ["fired"]

    def test_one_that_begins_stops_the_next_remedy(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.silence("guard")
        story.end_run("failed")
        assert (story.state, story.pipelines) == ("silenced", ["block-ip"])

    @pytest.mark.parametrize("switch", ["guard", "*"])
    def test_a_suspended_rule_does_nothing(self, switch):
        story = Story(guard=GUARD).rules()
        story.suspend(switch)
        assert outcomes(story.login()) == ["silenced"]
        assert not story.stored
        story.suspend()
        assert outcomes(story.login()) == ["fired"]

    def test_a_rule_that_is_gone_starts_no_further_remedy(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.rules(other=GUARD.replace("bad-login", "worse"))
        story.end_run("failed")
        assert (story.state, story.pipelines) == ("silenced", ["block-ip"])


class TestPeople:
    def escalated(self) -> Story:
        story = Story(guard=GUARD).rules()
        story.login()
        story.end_run("failed")
        story.end_run("failed")
        assert story.state == "escalated"
        return story

    def test_an_escalated_incident_takes_in_what_comes_until_it_is_acknowledged(self):
        story = self.escalated()
        assert outcomes(story.login()) == ["duplicate"]
        story.fact(Acked("ann"))
        assert story.incident.acked.by == "ann"
        assert outcomes(story.login()) == ["fired"]

    def test_or_for_an_hour(self):
        story = self.escalated()
        story.passes(minutes=61)
        assert outcomes(story.login()) == ["fired"]

    def test_what_is_over_can_still_be_commented(self):
        story = self.escalated()
        story.passes(minutes=61)
        story.engine.on_closed(story.incident, Commented("ann", "it was the switch"), story.now)
        story._perform()
        assert [(one.by, one.text) for one in story.incident.comments] == [("ann", "it was the switch")]


class TestRemedies:
    def test_an_approval_goes_with_the_run(self):
        rule = """
on: {event: x}
solve: [{pipeline: p, approve: {role: admin, expires: 5m}, verify: {absent: {event: x}, within: 1m}}]
"""
        story = Story(rule=rule).rules()
        story.event("x")
        assert story.started[0].approve == {"role": "admin", "expires": "5m"}

    def test_params_that_lack_what_they_need_are_told_and_skipped(self):
        story = Story(
            guard=GUARD.replace('{ip: "${{ event.data.groups.ip', '{ip: "${{ event.data.groups.nope')
        ).rules()
        story.login()
        assert story.pipelines == ["isolate-node"]
        assert "nope" in str(story.incident.decisions)

    def test_what_worked_before_is_tried_first(self):
        rule = """
on: {event: x}
order: success
solve:
  - {pipeline: a, verify: {absent: {event: y}, within: 1m}}
  - {pipeline: b, verify: {absent: {event: y}, within: 1m}}
"""
        story = Story(rule=rule).rules()
        story.event("x")
        story.end_run("failed")
        story.end_run()
        story.passes(61)
        story.look(value=True)
        assert story.state == "resolved"
        story.event("x")
        assert story.pipelines == ["a", "b", "b"]


class TestLeaders:
    def test_another_leader_goes_on_in_every_state(self):
        story = Story(guard=GUARD).rules()
        story.login()
        story.restart()
        assert outcomes(story.login()) == ["duplicate"]
        story.end_run()
        story.restart()
        assert story.state == "verifying"
        story.passes(121)
        story.looks.clear()
        story.restart()
        story.passes(15)
        assert story.pipelines == ["block-ip", "isolate-node"]

    def test_it_asks_again_what_was_not_answered(self):
        story = Story(rule=ASKS.replace("UNKNOWN", "stop")).rules()
        story.event("shop.attacked")
        story.answer("owner", {})
        story.asks.clear()
        story.restart()
        assert list(story.asks) == ["lines"]
        story.answer("lines", [1, 2])
        assert story.pipelines == ["fix"]

    def test_budgets_are_known_to_it(self):
        story = Story(rule=f"on: {{event: x}}\n{FIX}\nlimits: {{cooldown: 10m}}").rules()
        story.event("x")
        story.end_run("failed")
        story.restart()
        story.passes(minutes=5)
        assert story.state == "escalated"


def test_a_leader_that_comes_after_the_deadline_asks_who_would_have_told():
    story = Story(guard=GUARD).rules()
    story.login()
    story.end_run()
    assert story.state == "verifying"
    story.clock.advance(10 * 60)
    story.restart()
    story.passes(0)
    assert story.state == "verifying"
    story.look(value=True)
    assert story.state == "resolved"


def test_a_leader_that_comes_while_one_was_asked_asks_anew():
    story = Story(guard=GUARD).rules()
    story.login()
    story.end_run()
    story.passes(minutes=2)
    story.looks.clear()
    story.clock.advance(60)
    story.restart()
    story.passes(0)
    story.look(value=True)
    assert story.state == "resolved"


def test_a_leader_begins_anew_what_the_one_before_had_only_decided():
    story = Story(guard=GUARD).rules()
    story.login()
    (decided,) = story.runs.values()
    story.runs.clear()
    story.restart()
    assert story.runs == {decided.run: decided}
