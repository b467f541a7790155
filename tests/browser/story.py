"""A shop in which much goes well and some things don't: what pages are tested and pictured with."""

from __future__ import annotations

from typing import Any

from olympus.testing.cluster import OlympusProcess, eventually

SPECS = """
apiVersion: olympus/v1
kind: Node
metadata: {name: n1, labels: {role: web, zone: a}}
spec: {address: 10.0.0.11}
---
apiVersion: olympus/v1
kind: Node
metadata: {name: n2, labels: {role: db, zone: b}}
spec: {address: 10.0.0.12}
---
apiVersion: olympus/v1
kind: Service
metadata: {name: shop-api, labels: {team: shop}}
spec:
  run: {process: {command: [/bin/sh, -c, "while :; do echo \\"$(date +%T) GET /basket 200\\"; sleep 2; done"]}}
---
apiVersion: olympus/v1
kind: Service
metadata: {name: search-index, labels: {team: shop}}
spec:
  run: {process: {command: [/bin/sh, -c, "echo 'index is damaged at block 4711' >&2; exit 3"]}}
  restart: {attempts: 2, delay: 100ms, max: 1h}
---
apiVersion: olympus/v1
kind: Check
metadata: {name: root-disk}
spec: {disk: {path: /}, every: 1s, failWhen: "value.used_percent > 99"}
---
apiVersion: olympus/v1
kind: Check
metadata: {name: tls-of-shop}
spec: {file: {path: /nonexistent/shop.pem}, every: 1s, failWhen: "!value.exists"}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: deploy}
spec:
  params:
    type: object
    required: [version]
    properties:
      version: {type: string, description: What is to be deployed}
      canary: {type: boolean, default: true}
      zone: {type: string, enum: [a, b], default: a}
  steps:
    - name: build
      script: "for n in 1 2 3 4 5 6; do printf '\\\\033[32mok\\\\033[0m  module %s\\\\n' $n; sleep 0.05; done"
    - {name: test, script: "echo '341 passed'; sleep 0.2"}
    - {name: docs, needs: [build], script: "echo 'pages written'; sleep 0.1"}
    - {name: roll_out, needs: [test, docs], script: "echo rolled out $OLY_PARAM_VERSION; sleep 0.1"}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: backup}
spec:
  steps:
    - {name: dump, run: [echo, "dumped 1.2 GB"]}
    - {name: upload, script: "echo 'connection to store-2 was refused' >&2; exit 7"}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: block-ip}
spec:
  params: {type: object, required: [ip], properties: {ip: {type: string}}}
  steps:
    - {name: block, script: "echo blocked $OLY_PARAM_IP"}
---
apiVersion: olympus/v1
kind: Schedule
metadata: {name: nightly-backup}
spec: {cron: "30 2 * * *", timezone: Europe/Berlin, pipeline: backup}
---
apiVersion: olympus/v1
kind: LogWatch
metadata: {name: auth}
spec:
  source: {files: [/nonexistent/auth.log]}
  match:
    - {name: failed-login, pattern: 'Failed password for (?P<user>\\S+) from (?P<ip>\\S+)', severity: warning}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: brute-force}
spec:
  on: {event: shop.attacked, where: "data.score > 5"}
  when: "event.data.score < 100"
  solve:
    - pipeline: block-ip
      params: {ip: "${{ event.data.ip }}"}
      approve: {role: operator, expires: 30m}
      verify: {absent: {event: shop.attacked, where: "data.ip == event.data.ip"}, within: 1s}
  otherwise: {pipeline: backup}
  limits: {by: data.ip}
---
apiVersion: olympus/v1
kind: Asset
metadata: {name: core-switch}
spec:
  type: switch
  owner: team-net
  location: Budapest, room 2
  serial: SN-20481
  expires: "2029-06-30"
  relations: [{to: rack-7, how: is in}, {to: n1, how: serves}]
  fields: {ports: 48, firmware: 9.3.2}
---
apiVersion: olympus/v1
kind: Asset
metadata: {name: rack-7}
spec: {type: rack, owner: team-net, location: "Budapest, room 2"}
"""


NOTE = """---
tags: [runbook, disk]
review: 2027-01-31
---
# The disk is full

First look **which** folder grows:

    du -xh --max-depth=2 / | sort -h | tail

| mount | usual | alarm |
|---|---:|---:|
| `/` | 40 % | 90 % |
| `/var` | 55 % | 85 % |

Then [[runbooks/clean-cache]]; whoever is on call is told by [[on-call]].
"""


def noted(olympus: OlympusProcess, path: str, markdown: str) -> dict[str, Any]:
    """A note as it was saved."""
    answer = olympus.ask("PUT", f"/api/v1/notes/{path}", {"markdown": markdown, "message": "how it is done"})
    assert answer.status in (200, 201), answer.text
    saved: dict[str, Any] = answer.json
    return saved


def attacked(olympus: OlympusProcess, ip: str = "203.0.113.7") -> dict[str, Any]:
    """An incident that waits for a person's yes."""
    olympus.post("/api/v1/events", {"type": "shop.attacked", "data": {"score": 9, "ip": ip}})

    def asking() -> Any:
        items = olympus.get("/api/v1/incidents")["items"]
        mine = [one for one in items if one["key"] == ip and one["attempts"]]
        run = olympus.get(f"/api/v1/runs/{mine[0]['attempts'][0]['run']}") if mine else None
        return mine[0] if run and run["state"] == "waiting" else None

    found: dict[str, Any] = eventually(asking, what="an incident that asks")
    return found


def told(olympus: OlympusProcess) -> tuple[str, ...]:
    """Plays it; the paths of all its pages, but the login."""
    folder = olympus.state.parent
    log = folder / "auth.log"
    log.write_text("")
    olympus.push({"shop.yaml": SPECS.replace("/nonexistent", str(folder))})
    eventually(lambda: "Watching" in str(olympus.get("/api/v1/logwatches/auth")), what="it watches")
    with log.open("a") as lines:
        for user in ("root", "admin", "postgres"):
            lines.write(f"web-1 sshd[712]: Failed password for {user} from 203.0.113.7\n")
    noted(olympus, "on-call", "# On call\n\nThis week: Eva.\n")
    noted(olympus, "runbooks/disk-full", NOTE)
    done = olympus.run("deploy", {"version": "2.4.1"})
    failed = olympus.run("backup")
    incident = attacked(olympus)
    eventually(lambda: "CrashLooping" in str(olympus.get("/api/v1/services/search-index")), what="it loops")
    eventually(lambda: "'Failing'" in str(olympus.get("/api/v1/checks/tls-of-shop")), what="it fails")
    eventually(lambda: len(olympus.events("type=olympus.argos.match")) == 3, what="the lines match")
    event = olympus.events("type=shop.attacked")[0]["id"]
    return (
        "/",
        "/incidents",
        f"/incidents/{incident['id']}",
        "/runs",
        f"/runs/{done['id']}",
        f"/runs/{failed['id']}",
        *("/nodes", "/nodes/n1", "/services", "/services/search-index", "/services/shop-api"),
        *("/checks", "/checks/tls-of-shop", "/schedules", "/schedules/nightly-backup"),
        *("/pipelines", "/pipelines/deploy", "/rules", "/rules/brute-force"),
        *("/logwatches", "/logwatches/auth", "/assets", "/assets/core-switch"),
        *("/notes", "/notes/runbooks/disk-full", "/note-edit/runbooks/disk-full"),
        "/note-history/runbooks/disk-full",
        "/spec-edit/Service/shop-api",
        *("/events", f"/events/{event}", "/sync", "/audit", "/settings"),
    )
