"""Specs: documents a second, read and validated, beside json.loads of the same and PyYAML's own safe loader."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

import yaml

from olympus.kernel.diagnostics import Diagnostic
from olympus.spec.loader import load_documents
from olympus.spec.parse import parse_document
from olympus.spec.validate import Cache, validate_tree

DOCUMENTS = 10_000
A_FILE = 10

SERVICE = """\
apiVersion: olympus/v1
kind: Service
metadata: {{name: service-{n}, labels: {{team: shop, tier: t{tier}}}}}
spec:
  nodes: {{selector: role=web, replicas: 2, spread: zone}}
  run: {{process: {{command: [python3, -m, http.server, "{port}"], env: {{PORT: "{port}"}}, workdir: /srv}}}}
  checks: [{{http: "http://127.0.0.1:{port}/", every: 10s, timeout: 2s, failures: 3}}]
  restart: {{attempts: 5, within: 10m, delay: 1s, max: 1m}}
"""
PIPELINE = """\
apiVersion: olympus/v1
kind: Pipeline
metadata:
  name: pipeline-{n}
spec:
  params: {{type: object, required: [ip], properties: {{ip: {{type: string, format: ipv4, title: p{n}}}}}}}
  timeout: 10m
  steps:
    - {{name: look, run: [nft, -j, list, ruleset], timeout: 10s, retry: {{attempts: 3, delay: 1s, backoff: 2}}}}
    - name: block
      needs: [look]
      when: steps.look.exit == 0
      run: [nft, add, element, inet, f, banned, "${{{{ params.ip }}}}"]
      idempotent: true
    - {{name: log, emit: {{type: shop.blocked, data: {{ip: "${{{{ params.ip }}}}"}}}}}}
"""
SCHEDULE = """\
apiVersion: olympus/v1
kind: Schedule
metadata: {{name: schedule-{n}}}
spec: {{cron: "*/5 * * * *", timezone: Europe/Budapest, pipeline: pipeline-{target}, params: {{ip: 203.0.113.7}}}}
"""


class Files:
    """A tree in memory."""

    def __init__(self, content: Mapping[str, bytes]) -> None:
        self._content = content
        self.problems: tuple[Diagnostic, ...] = ()
        self.files = {path: sha256(data).hexdigest() for path, data in content.items()}

    def read(self, path: str) -> bytes:
        return self._content[path]


def specs(count: int) -> dict[str, bytes]:
    """Files of ten documents: services, pipelines and schedules in turn, each different."""
    texts = [
        (SERVICE, PIPELINE, SCHEDULE)[n % 3].format(
            n=n, tier=n % 7, port=1024 + n % 60_000, target=max(1, n - 1)
        )
        for n in range(count)
    ]
    return {
        f"team-{n // A_FILE % 20}/specs-{n // A_FILE}.yaml": "---\n".join(texts[n : n + A_FILE]).encode()
        for n in range(0, count, A_FILE)
    }


def rate(work: Callable[[], object], count: int, repeat: int = 3) -> float:
    """Documents a second: the median of some runs."""
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return count / statistics.median(times)


def main() -> None:
    files = specs(DOCUMENTS)
    loaded = [document for name, data in files.items() for document in load_documents(name, data)[0]]
    if len(loaded) != DOCUMENTS:
        raise SystemExit(f"{len(loaded)} documents were read, not {DOCUMENTS}")
    texts = [json.dumps(document.value) for document in loaded]
    sample = dict(list(files.items())[:100])
    tree, cache = Files(files), Cache()
    begun = time.perf_counter()
    report = validate_tree(tree, cache)
    cold = time.perf_counter() - begun
    if report.diagnostics:
        raise SystemExit(f"not valid: {report.diagnostics[0]}")
    changed = files | {"team-0/specs-0.yaml": files["team-0/specs-0.yaml"] + b"\n"}
    print(
        f"{DOCUMENTS} documents in {len(files)} files, {sum(map(len, files.values())) / 1e6:.1f} MB; documents/s:"
    )
    rows = {
        "json.loads of the same": rate(lambda: [json.loads(text) for text in texts], DOCUMENTS),
        "PyYAML's CSafeLoader, a tenth": rate(
            lambda: [list(yaml.load_all(data, yaml.CSafeLoader)) for data in sample.values()], 100 * A_FILE
        ),
        "read": rate(lambda: [load_documents(name, data) for name, data in files.items()], DOCUMENTS),
        "parse: models and digest": rate(
            lambda: [parse_document(document) for document in loaded], DOCUMENTS
        ),
        "validate a whole tree, for the first time": DOCUMENTS / cold,
        "validate a whole tree": rate(lambda: validate_tree(tree), DOCUMENTS),
        "validate again, nothing changed": rate(lambda: validate_tree(tree, cache), DOCUMENTS),
        "validate again, one file changed": rate(lambda: validate_tree(Files(changed), cache), DOCUMENTS),
    }
    for name, value in rows.items():
        print(f"  {name:42} {value:12,.0f}")


if __name__ == "__main__":
    main()
