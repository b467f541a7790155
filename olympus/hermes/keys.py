"""Every key in Hermes, and who writes it.

A node that is no controller writes what the table gives to "that node" or "that publisher", and nothing else:
`node_writes` and `node_reads` say it for Consul's policies.

| key | holds | written by |
|---|---|---|
| `catalog` | root of the compiled catalog: revision, chunks | Zeus's controller |
| `artifacts/NODE/RUN/SHA256` | what a step there saved for another node | that node; the coordinator removes it |
| `chunks/SHA256` | what is large, in pieces | who writes the root that names them |
| `offer` | a catalog that was validated and is to be applied | who got the push |
| `zeus/outcome` | what became of the last offer | Zeus's controller |
| `zeus/hosts` | every host that is registered, and whether it lives | Zeus's controller |
| `zeus/source` | whether the remote repository can be fetched | who fetches it |
| `zeus/rollouts/SERVICE` | what a roll-out replaces | Zeus's controller |
| `nodes/NODE/registration` | address, facts | that node |
| `nodes/NODE/desired` | what the node should be, signed | Zeus's controller |
| `nodes/NODE/refusal` | why the node does not take that | that node |
| `nodes/NODE/orders/ORDER` | a step to be executed, signed | Hephaestus's coordinator; the node marks it started |
| `nodes/NODE/watches/WATCH` | how a LogWatch fares on that node | that node |
| `nodes/NODE/checks/CHECK` | the state of a Check on that node | that node |
| `instances/NODE/SERVICE` | a service's instance as its steward sees it | that node |
| `trust/controllers/NODE` | the public key of a host that may lead | that controller |
| `told/NODE/WATCH/SHA256` | how far a source of that watch was told there | that node |
| `asks/NODE/ID` | a question for the last lines there, signed | Athena; the node removes it |
| `answers/NODE/ID` | what the node answers | that node; who asked removes it |
| `runs/ID` | a run | who starts it, then Hephaestus's coordinator |
| `live-runs/ID` | that a run is not finished | as `runs/ID` |
| `pipelines/SHA256` | a pipeline as runs were started with it | who starts a run |
| `expects/SCHEDULE` | when it last succeeded | Hephaestus's coordinator |
| `triggers/PIPELINE.N` | an event that waits for its debounce | Hephaestus's coordinator |
| `starts/SHA256` | the run that an Idempotency-Key started | who starts it |
| `schedules/NAME` | last slot, next slot | Chronos |
| `athena/incidents/ID` | an incident: events, answers, decisions, remedies | Athena |
| `athena/live/ID` | that an incident may still change by itself | Athena |
| `athena/rules/NAME` | how a rule fares: counts, breaker, what worked | Athena |
| `athena/keys/RULE/SHA256` | when a rule acted for a key: cooldown and budget | Athena |
| `athena/windows/RULE/SHA256` | what of correlated events has come for a key | Athena |
| `assets/reminded/NAME[/FIELD]` | for which date, and how near, an asset's end was told | Apollo |
| `assets/told` | up to which catalog changes of assets were told | Apollo |
| `silences/ID` | what people silenced by hand, until when | Apollo |
| `intents/KIND/NAME` | what operators ordered outside git: restart, suspend, drain | Apollo |
| `bus/heads/PUBLISHER`, `bus/segments/PUBLISHER/N` | events | that publisher |
| `cursors/CONSUMER` | what a consumer has handled | that consumer |
| `leases/ROLE`, `epochs/ROLE` | who leads, and the how-manieth leader it is | candidates |
| `notes/home` | the node that has the notes | the first controller that asked |
| `notes/told` | up to which revision changes of notes were told | Apollo, where the notes are |
| `tokens/ID`, `users/NAME`, `sessions/SHA256`, `audit/…` | who may do what, who is logged in, who did what | Apollo |
"""

from __future__ import annotations

import hashlib
from typing import Final

ROOT: Final = "olympus/"
CATALOG: Final = ROOT + "catalog"
OFFER: Final = ROOT + "offer"
OUTCOME: Final = ROOT + "zeus/outcome"
SOURCE: Final = ROOT + "zeus/source"
HOSTS: Final = ROOT + "zeus/hosts"
ROLLOUTS: Final = ROOT + "zeus/rollouts/"
NODES: Final = ROOT + "nodes/"
INSTANCES: Final = ROOT + "instances/"
CONTROLLERS: Final = ROOT + "trust/controllers/"
RUNS: Final = ROOT + "runs/"
LIVE_RUNS: Final = ROOT + "live-runs/"
PIPELINES: Final = ROOT + "pipelines/"
EXPECTS: Final = ROOT + "expects/"
TRIGGERS: Final = ROOT + "triggers/"
STARTS: Final = ROOT + "starts/"
SCHEDULES: Final = ROOT + "schedules/"
TOLD: Final = ROOT + "told/"
ASKS: Final = ROOT + "asks/"
ANSWERS: Final = ROOT + "answers/"
INTENTS: Final = ROOT + "intents/"
INCIDENTS: Final = ROOT + "athena/incidents/"
LIVE_INCIDENTS: Final = ROOT + "athena/live/"
RULES: Final = ROOT + "athena/rules/"
RULE_KEYS: Final = ROOT + "athena/keys/"
WINDOWS: Final = ROOT + "athena/windows/"
ASSETS_TOLD: Final = ROOT + "assets/told"
ASSETS_REMINDED: Final = ROOT + "assets/reminded/"
SILENCES: Final = ROOT + "silences/"
HEADS: Final = ROOT + "bus/heads/"
SEGMENTS: Final = ROOT + "bus/segments/"
CHUNKS: Final = ROOT + "chunks/"
ARTIFACTS: Final = ROOT + "artifacts/"
NOTES_HOME: Final = ROOT + "notes/home"
NOTES_TOLD: Final = ROOT + "notes/told"
TOKENS: Final = ROOT + "tokens/"
USERS: Final = ROOT + "users/"
SESSIONS: Final = ROOT + "sessions/"
AUDIT: Final = ROOT + "audit/"


def chunk(digest: str) -> str:
    return CHUNKS + digest


def artifacts(node_name: str, run_id: str) -> str:
    """The prefix of what steps of a run saved on a node."""
    return f"{ARTIFACTS}{node_name}/{run_id}/"


def rollout(service: str) -> str:
    return ROLLOUTS + service


def node(name: str) -> str:
    """The prefix of all that belongs to one node."""
    return f"{NODES}{name}/"


def registration(name: str) -> str:
    return f"{NODES}{name}/registration"


def desired(name: str) -> str:
    return f"{NODES}{name}/desired"


def refusal(name: str) -> str:
    return f"{NODES}{name}/refusal"


def watches(name: str) -> str:
    """The prefix of how a node's watches fare."""
    return f"{NODES}{name}/watches/"


def watch(name: str, watch_name: str) -> str:
    return f"{NODES}{name}/watches/{watch_name}"


def told(name: str, watch_name: str = "") -> str:
    """The prefix of how far a node's watches, or one of them, were told."""
    return f"{TOLD}{name}/" + (f"{watch_name}/" if watch_name else "")


def told_of(name: str, watch_name: str, stream: str) -> str:
    return told(name, watch_name) + hashlib.sha256(stream.encode(errors="surrogateescape")).hexdigest()


def asks(name: str) -> str:
    """The prefix of what a node is asked."""
    return f"{ASKS}{name}/"


def ask(name: str, ask_id: str) -> str:
    return f"{ASKS}{name}/{ask_id}"


def answers(name: str) -> str:
    """The prefix of what it answers."""
    return f"{ANSWERS}{name}/"


def answer(name: str, ask_id: str) -> str:
    return f"{ANSWERS}{name}/{ask_id}"


def checks(name: str) -> str:
    """The prefix of what a node's checks found."""
    return f"{NODES}{name}/checks/"


def check(name: str, check_name: str) -> str:
    return f"{NODES}{name}/checks/{check_name}"


def instances(name: str) -> str:
    """The prefix of a node's instances: apart from `nodes/`, since every node may read them."""
    return f"{INSTANCES}{name}/"


def instance(name: str, service: str) -> str:
    return f"{INSTANCES}{name}/{service}"


def orders(name: str) -> str:
    """The prefix of what a node is to execute."""
    return f"{NODES}{name}/orders/"


def order(name: str, order_id: str) -> str:
    return f"{NODES}{name}/orders/{order_id}"


def controller(name: str) -> str:
    return CONTROLLERS + name


def run(run_id: str) -> str:
    return RUNS + run_id


def live_run(run_id: str) -> str:
    """There while the run is not finished: what a new leader has to read."""
    return LIVE_RUNS + run_id


def pipeline(digest: str) -> str:
    return PIPELINES + digest


def expect(schedule_name: str) -> str:
    return EXPECTS + schedule_name


def trigger(name: str) -> str:
    """An event that waits for its debounce."""
    return TRIGGERS + name


def start(idempotency_key: str) -> str:
    return STARTS + hashlib.sha256(idempotency_key.encode()).hexdigest()


def user(name: str) -> str:
    return USERS + name


def schedule(name: str) -> str:
    return SCHEDULES + name


def incident(incident_id: str) -> str:
    return INCIDENTS + incident_id


def live_incident(incident_id: str) -> str:
    return LIVE_INCIDENTS + incident_id


def rule(name: str) -> str:
    return RULES + name


def rule_key(rule_name: str, key: str) -> str:
    return f"{RULE_KEYS}{rule_name}/{hashlib.sha256(key.encode(errors='replace')).hexdigest()}"


def window(rule_name: str, key: str) -> str:
    return f"{WINDOWS}{rule_name}/{hashlib.sha256(key.encode(errors='replace')).hexdigest()}"


def silence(silence_id: str) -> str:
    return SILENCES + silence_id


def intent(kind: str, name: str) -> str:
    return f"{INTENTS}{kind.lower()}/{name}"


def head(publisher: str) -> str:
    """Heads lie together and apart from segments: a watch of Consul's sends its whole prefix each time."""
    return HEADS + publisher


def segments(publisher: str) -> str:
    """The prefix of a publisher's segments."""
    return f"{SEGMENTS}{publisher}/"


def segment(publisher: str, number: int) -> str:
    """Zero-padded, so that keys sort as numbers do."""
    return f"{SEGMENTS}{publisher}/{number:016d}"


def cursor(consumer: str) -> str:
    return f"{ROOT}cursors/{consumer}"


def lease(role: str) -> str:
    return f"{ROOT}leases/{role}"


def epoch(role: str) -> str:
    return f"{ROOT}epochs/{role}"


def node_writes(name: str) -> tuple[str, ...]:
    """All that a node which is no controller writes. What ends with '/' is a prefix."""
    own = registration(name), refusal(name), orders(name), checks(name), watches(name), instances(name)
    argos = told(name), asks(name), answers(name)
    return *own, *argos, f"{ARTIFACTS}{name}/", head(name), segments(name)


def node_reads(name: str) -> tuple[str, ...]:
    """All that it reads besides: its own part, services and artifacts of others, events, content, whom to trust."""
    own = node(name), told(name), asks(name), answers(name)
    return *own, INSTANCES, HEADS, SEGMENTS, CHUNKS, ARTIFACTS, CONTROLLERS
