"""Documents become resources, or every error in them with its place, the value and what was perhaps meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from olympus.spec.catalog import Catalog
from olympus.spec.kinds import KINDS
from olympus.spec.loader import load_documents
from olympus.spec.parse import parse_document

ROOT = Path(__file__).resolve().parents[3]
HEAD = "apiVersion: olympus/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n"


def errors(text: str) -> list[str]:
    documents, diagnostics = load_documents("a.yaml", text.encode())
    assert diagnostics == []
    return [str(one) for document in documents for one in parse_document(document)[1]]


def errors_of(kind: str, spec: str) -> list[str]:
    """Of a spec that stands at line 4, column 7."""
    return errors(HEAD.format(kind=kind, spec=spec))


def contract_examples() -> list[str]:
    """The YAML of the contract, each document with what its examples leave out."""
    text = (ROOT / "docs" / "contract.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[1:]
    return [part for block in blocks for part in block.split("\n---\n")]


@pytest.mark.parametrize("example", contract_examples(), ids=lambda text: text.split(None, 2)[1])
def test_the_contract_s_examples_are_valid(example):
    [document] = load_documents("contract.md", example.encode())[0]
    document.value |= {"apiVersion": "olympus/v1", "metadata": {"name": "x"}}
    resource, diagnostics = parse_document(document)
    assert [str(one) for one in diagnostics] == []
    assert resource is not None
    assert resource.spec.to_json() == document.value["spec"]


def test_the_contract_shows_most_kinds():
    shown = {example.split(None, 2)[1] for example in contract_examples()}
    assert set(KINDS) - shown == {"Asset", "AssetType", "Silence", "Window", "Access"}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Node", "{}"),
        ("Service", "{run: {systemd: {unit: nginx.service, file: units/nginx.service, enable: true}}}"),
        (
            "Service",
            "{nodes: {replicas: each}, run: {process: {command: [a]}}, onFailure: {pipeline: fix-web}}",
        ),
        (
            "Service",
            '{run: {process: {command: [a]}}, checks: [{tcp: "a:1"}, {command: [b]}], onFailure: none}',
        ),
        ("Check", "{load: {}, failWhen: value.one > 4}"),
        ("Check", "{memory: {}, failWhen: value.used_percent > 90}"),
        ("Check", "{certificate: {file: /etc/ssl/a.pem}, failWhen: value.days_left < 14}"),
        ("Check", "{file: {path: /var/run/x}, failWhen: '!value.exists'}"),
        ("Check", '{http: "http://127.0.0.1/", every: 10s}'),
        ("Check", '{tcp: "127.0.0.1:22"}'),
        ("Check", "{command: [systemctl, is-system-running]}"),
        ("Pipeline", "{nodes: {selector: a=b, order: step, pick: one}, steps: [{name: a, run: [b]}]}"),
        ("Pipeline", "{steps: [{name: a, wait: {until: {check: c, state: passing}}, needs: []}]}"),
        ("Pipeline", "{steps: [{name: a, wait: {until: \"params.x == 'y'\"}}]}"),
        ("Pipeline", "{steps: [{name: a, run: [b], artifacts: {load: {report: in.json}}, on: always}]}"),
        ("Schedule", "{every: 30s, pipeline: a}"),
        ("Schedule", "{at: 2026-12-24T20:00:00, pipeline: a}"),
        ("LogWatch", "{source: {journal: {units: [sshd]}}, match: [{name: a, pattern: b}]}"),
        ("LogWatch", '{source: {syslog: {listen: "udp://0.0.0.0:5514"}}, match: [{name: a, pattern: b}]}'),
        ("LogWatch", "{source: {files: [/a], encoding: cp1252}, match: [{name: a, pattern: b}]}"),
        ("LogWatch", "{source: {service: shop-api}, match: [{name: a, pattern: b}]}"),
        *(
            (
                "Rule",
                f"{{correlate: {{within: 5m, by: data.ip, {what}}}, solve: [{{pipeline: a, verify: {VERIFY}}}]}}",
            )
            for VERIFY in ("{until: a == 'b', within: 1m}",)
            for what in (
                "all: [{event: a}, {event: b}]",
                "any: [{event: a}]",
                "sequence: [{event: a, where: \"data.x == 'y'\"}, {event: b}]",
                "absent: {event: a}",
                "count: {of: {event: a}, atLeast: 3}",
                "distinct: {of: {event: a}, field: data.user, atLeast: 3}",
                "rate: {of: {event: a}, perSecond: 10}",
            )
        ),
        *(("Webhook", f"{{verify: {{{how}: {{secret: s}}}}, pipeline: a}}") for how in ("gitlab", "token")),
        ("Webhook", "{verify: {hmac: {secret: s, header: x_signature}}, pipeline: a}"),
        ("Secret", "{from: {env: TOKEN}}"),
        ("Secret", "{from: {systemd: token}}"),
        ("Secret", "{from: {vault: {path: kv/a, key: b}}}"),
        ("Secret", "{from: {sops: {file: secrets.yaml, key: b}}}"),
        (
            "Asset",
            "{type: server, owner: ops, expires: 2027-01-01, relations: [{to: b, how: in}], fields: {env: prod}}",
        ),
        ("Silence", "{rules: [a], nodes: {selector: b=c}, until: 2026-12-24T20:00:00Z, reason: works}"),
        (
            "Window",
            "{mode: deny, cron: 0 0 * * 6, duration: 2d, timezone: Europe/Budapest, nodes: {selector: a}}",
        ),
        ("Access", "{users: [ann], groups: [ops], role: operator, selector: team=shop, notes: [team/]}"),
    ],
)
def test_what_the_contract_says_in_words_is_valid(kind, spec):
    assert errors_of(kind, spec) == []


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        ("Service", "{run: {process: {command: [a]}}, nodes: {replcas: 2}}",
         "4:48: unknown field 'replcas', did you mean 'replicas'?"),
        ("Service", "{}", "4:7: missing field 'run'"),
        ("Service", "{run: {}}", "4:13: run needs exactly one of process, systemd"),
        ("Service", "{run: }", "4:13: this is empty: write a mapping"),
        ("Service", "{run: {process: {command: []}}}",
         "4:33: this is empty: at least 1 is needed"),
        ("Service", "{run: {process: {command: [a]}}, restart: {attempts: 0}}", "4:60: 0 is too small: 1 at least"),
        *(
            ("LogWatch", f"{{source: {{files: [/a], encoding: {encoding}}}, match: [{{name: a, pattern: b}}]}}", said)
            for encoding, said in [
                ("latinx", "4:40: there is no encoding 'latinx': write latin-1, cp1252 or another of Python's"),
                ("base64", "4:40: there is no encoding 'base64': write latin-1, cp1252 or another of Python's"),
                *(
                    (one, f"4:40: {one!r} is no encoding in which ASCII stays as it is, so that lines can be read")
                    for one in ("utf-16", "cp037")
                ),
            ]
        ),
        ("LogWatch", "{source: {service: a, encoding: latin-1}, match: [{name: a, pattern: b}]}",
         "4:16: encoding: only files have it"),
        ("Schedule", "{pipeline: a}", "4:7: a schedule needs exactly one of cron, every, at"),
        ("Schedule", "{pipeline: a, every: 5 minutes}",
         "4:28: '5 minutes' is no duration: write a number with ms, s, m, h or d, as in 10s or 1h30m"),
        ("Schedule", "{pipeline: a, every: 99999d}", "4:28: '99999d' is longer than ten years"),
        ("Schedule", "{pipeline: a, every: 10}", "4:28: 10 has no unit: write 10s, 10m or 10h"),
        ("Schedule", "{pipeline: a, every: 1m, paused: yes}",
         "4:40: 'yes' is a text, not true or false: write true, without quotes"),
        ("Schedule", "{pipeline: a, every: 1m, missed: last}",
         "4:40: 'last' is not one of skip, latest, all, did you mean 'latest'?"),
        ("Schedule", "{pipeline: A_b, every: 1m}",
         "4:18: 'A_b' is no name: use a-z, 0-9 and '-', up to 63 characters; did you mean 'a-b'?"),
        ("LogWatch", "{source: {syslog: {listen: 'tls://[::]:6514', cert: /a}}, match: [{name: a, pattern: b}]}",
         "4:25: tls://[::]:6514 needs cert and key: files on the node, in PEM"),
        ("LogWatch", "{source: {syslog: {listen: 'tcp://[::]:6514', key: /a}}, match: [{name: a, pattern: b}]}",
         "4:25: key: only tls:// has it"),
        ("Node", "{mode: observ}", "4:14: 'observ' is not one of manage, observe, did you mean 'observe'?"),
        ("Node", '{maintenance: "true"}', "4:21: 'true' is a text, not true or false: write true, without quotes"),
    ],
)  # fmt: skip
def test_an_error_says_where_what_and_what_was_meant(kind, spec, said):
    assert errors_of(kind, spec) == [f"a.yaml:{said}"]


@pytest.mark.parametrize(
    "one", ["all: [{event: a}]", "count: {of: {event: a}, atLeast: 3}", "sequence: [{event: a}]"]
)
def test_a_rule_correlates_in_one_way(one):
    rest = "solve: [{pipeline: a, verify: {until: event.data.x == 'b', within: 1m}}]"
    assert errors_of("Rule", f"{{correlate: {{within: 5m}}, {rest}}}") == [
        "a.yaml:4:19: correlate needs exactly one of all, any, sequence, absent, count, distinct, rate"
    ]
    [both] = errors_of("Rule", f"{{correlate: {{within: 5m, {one}, absent: {{event: b}}}}, {rest}}}")
    assert "a.yaml:4:19: correlate has" in both
    assert "exactly one of all, any, sequence, absent, count, distinct, rate is allowed" in both


def test_of_a_union_the_nearest_branch_speaks():
    assert errors_of("Pipeline", "{steps: [{name: a, wait: {until: {service: b, state: helthy}}}]}") == [
        "a.yaml:4:60: 'helthy' is not one of healthy, running, crashlooping, stopped, did you mean 'healthy'?"
    ]
    assert errors_of("Service", "{run: {process: {command: [a]}}, onFailure: {pipline: x}}") == [
        "a.yaml:4:52: unknown field 'pipline', did you mean 'pipeline'?",
    ]


def test_every_error_of_a_document_is_said_in_one_pass():
    said = errors(
        "apiVersion: olympus/v2\nkind: Service\nmetadata: {name: Web, label: {}}\nspec:\n"
        "  run:\n    process: {command: a}\n    systemd: {unit: a.service}\n"
        "  checks:\n    - {http: 'http://x', tcp: 'a:1', every: fast}\n  colour: red\nextra: 1\n"
    )
    assert said == [
        "a.yaml:1:13: 'olympus/v2' is no known version: write olympus/v1",
        "a.yaml:3:18: 'Web' is no name: use a-z, 0-9 and '-', up to 63 characters; did you mean 'web'?",
        "a.yaml:3:23: unknown field 'label', did you mean 'labels'?",
        "a.yaml:6:5: run has process and systemd: exactly one of process, systemd is allowed",
        "a.yaml:6:24: 'a' is a text, not a list: write [a]",
        "a.yaml:9:7: an entry of 'checks' has http and tcp: exactly one of http, tcp, command is allowed",
        "a.yaml:9:45: 'fast' is no duration: write a number with ms, s, m, h or d, as in 10s or 1h30m",
        "a.yaml:10:3: unknown field 'colour'"
        ": there are checks, dependsOn, files, nodes, onFailure, restart, run, update",
        "a.yaml:11:1: unknown field 'extra': there are apiVersion, kind, metadata, spec",
    ]


def test_unknown_kinds_are_guessed():
    assert errors("apiVersion: olympus/v1\nkind: Servce\nmetadata: {name: a}\nspec: {}\n") == [
        "a.yaml:2:7: 'Servce' is no kind, did you mean 'Service'?"
    ]


@pytest.mark.parametrize(
    "text", ["[1]", "5", "text", "kind: []", "kind: {}", "apiVersion: [x]", "metadata: 5", "spec: 5"]
)
def test_what_is_no_document_at_all_is_said(text):
    assert errors(text)


def test_a_resource_knows_its_place_and_digest():
    text = "# first\n---\n" + HEAD.format(kind="Node", spec="{maintenance: true}")
    [document] = load_documents("dir/a.yaml", text.encode())[0]
    resource, _ = parse_document(document)
    assert resource is not None
    assert (resource.ref, resource.file, resource.line) == (("Node", "x"), "dir/a.yaml", 3)
    turned = "kind: Node\nspec: {maintenance: true}\nmetadata: {name: x}\napiVersion: olympus/v1\n"
    again, _ = parse_document(load_documents("b.yaml", turned.encode())[0][0])
    assert again is not None
    assert again.digest == resource.digest
    other, _ = parse_document(load_documents("b.yaml", turned.replace("true", "false").encode())[0][0])
    assert other is not None
    assert other.digest != resource.digest


def test_a_catalog_survives_its_way_through_bytes():
    documents = [
        document
        for file in sorted((ROOT / "examples").rglob("*.yaml"))
        for document in load_documents(file.name, file.read_bytes())[0]
    ]
    resources = [resource for resource, _ in map(parse_document, documents) if resource is not None]
    assert len(resources) == len(documents) > 5
    catalog = Catalog(resources, {"a/b": "00"}, "abc")
    again = Catalog.from_bytes(catalog.to_bytes())
    assert again.to_bytes() == catalog.to_bytes()
    assert {one.ref: one for one in again.resources} == {one.ref: one for one in catalog.resources}
    assert (again.revision, again.files) == ("abc", {"a/b": "00"})
    assert again.get("Pipeline", resources[0].name) == catalog.get("Pipeline", resources[0].name)
    assert [one.name for one in again.all("Service")] == sorted(
        one.name for one in resources if one.kind == "Service"
    )
