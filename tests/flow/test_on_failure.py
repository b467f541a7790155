"""A service whose restarts do not help starts the pipeline that its `onFailure` names."""

from __future__ import annotations

from olympus.testing.cluster import eventually

SPECS = """
apiVersion: olympus/v1
kind: Service
metadata: {name: broken}
spec:
  run: {process: {command: [/bin/sh, -c, "exit 3"]}}
  restart: {attempts: 1, delay: 100ms, max: 1m}
  onFailure: {pipeline: mend}
---
apiVersion: olympus/v1
kind: Service
metadata: {name: other}
spec:
  run: {process: {command: [/bin/sh, -c, "exit 4"]}}
  restart: {attempts: 1, delay: 100ms, max: 1m}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: mend}
spec:
  params: {type: object, required: [service], properties: {service: {type: string}, reason: {type: string}}}
  steps: [{name: say, run: [echo, "mending ${{ params.service }}: ${{ params.reason }}"]}]
"""


def test_the_pipeline_of_on_failure_runs_once_for_its_service_alone(make_olympus):
    olympus = make_olympus()
    olympus.start()
    olympus.push({"specs.yaml": SPECS})
    (run,) = eventually(
        lambda: [r for r in olympus.get("/api/v1/runs?pipeline=mend")["items"] if r["finishedAt"]],
        what="mended",
    )
    assert (run["state"], run["params"]["service"]) == ("succeeded", "broken")
    assert "exit code 3" in run["params"]["reason"]
    states = {
        s["metadata"]["name"]: s["status"]["instances"][0]["state"]
        for s in olympus.get("/api/v1/services")["items"]
    }
    assert states["broken"] == "crashlooping"
    event = olympus.get(f"/api/v1/events/{run['cause']['event']}")
    assert (event["type"], event["data"]["service"]) == ("olympus.zeus.service-crashlooping", "broken")
