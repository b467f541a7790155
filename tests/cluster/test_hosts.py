"""Three hosts on one Consul: one is lost, cut off, frozen, drained, and comes back."""

from __future__ import annotations

from olympus.testing.cluster import eventually


def service(name, argument, spec):
    return f"""
apiVersion: olympus/v1
kind: Service
metadata: {{name: {name}}}
spec:
  run: {{process: {{command: [sleep, "{argument}"]}}}}
  {spec}
---
"""


PAIR = service("pair", 2001, "nodes: {replicas: 2, spread: zone}\n  onFailure: failover")
EACH = service("each", 2002, "nodes: {replicas: each}\n  update: {maxUnavailable: 3, healthyFor: 100ms}")
TICK = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: note-it}
spec: {steps: [{name: say, run: [echo, tick]}]}
---
apiVersion: olympus/v1
kind: Schedule
metadata: {name: tick}
spec: {every: 1s, pipeline: note-it, overlap: allow}
---
"""
ALL = ["n1", "n2", "n3"]


def others(node):
    return [name for name in ALL if name != node]


def slots(olympus):
    return [e["data"]["slot"] for e in olympus.events("type=olympus.chronos.fired&limit=1000")]


def reasons(olympus, what, node):
    """Of the events of a node, newest first."""
    return [e["data"]["reason"] for e in olympus.events(f"type=olympus.zeus.{what}&limit=1000&node={node}")]


def everywhere(cluster):
    eventually(lambda: len(cluster.where("pair")) == 2, what="two of pair")
    eventually(lambda: cluster.where("each") == ALL, what="one on each")


def goes_on(olympus):
    """The schedule fires again."""
    before = len(slots(olympus))
    eventually(lambda: len(slots(olympus)) > before + 1, within=60, what="the schedule goes on")


def fired_once(olympus):
    found = slots(olympus)
    assert len(found) == len(set(found)), "a slot fired twice"
    runs = [e["data"]["run"] for e in olympus.events("type=olympus.hephaestus.run-started&limit=1000")]
    assert len(runs) == len(set(runs))


def test_replicas_are_spread_over_zones(cluster):
    cluster.push(PAIR + EACH)
    everywhere(cluster)
    east, west = cluster.where("pair")
    assert east == "n1"
    assert west in ("n2", "n3")
    assert sorted(cluster.runs("2001")) == [east, west]


def test_a_leader_that_loses_its_power_is_replaced_and_comes_back(cluster):
    name = cluster.leader()
    stays = service("stays", 2003, f'nodes: {{selector: "host={name}"}}')
    cluster.push(PAIR + EACH + TICK + stays)
    everywhere(cluster)
    eventually(lambda: cluster.where("stays") == [name], what="the one that stays")
    lost, left = cluster.hosts[name], cluster.somebody(name)
    joined = len(reasons(left, "node-joined", name))
    lost.host.off()
    eventually(lambda: cluster.alive(name) == others(name), within=60, what="it is lost")
    eventually(lambda: cluster.where("pair", name) == others(name), within=60, what="failed over")
    assert cluster.leader() != name
    assert reasons(left, "node-lost", name)[0] == "its check fails"
    (stayed,) = left.instances("stays")
    assert (stayed["node"], stayed["state"], stayed["reason"]) == (name, "unknown", "NodeLost")
    assert f"{name} is lost" in left.cli("describe", "service", "stays")
    goes_on(left)
    lost.host.on()
    eventually(lambda: cluster.alive(name) == ALL, within=60, what="it is back")
    # Its agent says for some seconds what it knew of Olympus before.
    eventually(lost.ready, within=60, what="Olympus is back too")
    eventually(lambda: cluster.runs("2003") == [name], within=60, what="what stayed is there again")
    eventually(lambda: cluster.where("stays") == [name], what="and said to be")
    everywhere(cluster)
    assert reasons(left, "node-joined", name)[0] == "back"
    assert len(reasons(left, "node-joined", name)) > joined
    assert sorted(cluster.runs("2001")) == others(name)
    fired_once(left)


def test_a_leader_that_is_cut_off_keeps_its_services_alive_and_gives_back_what_moved(cluster):
    cluster.push(PAIR + EACH + TICK)
    everywhere(cluster)
    name = cluster.leader()
    lost, left = cluster.hosts[name], cluster.somebody(name)
    lost.host.cut()
    eventually(lambda: cluster.alive(name) == others(name), within=60, what="it is lost")
    eventually(lambda: cluster.where("pair", name) == others(name), within=60, what="failed over")
    goes_on(left)
    for _ in range(3):
        (pid,) = lost.host.run("pgrep", "-f", "sleep 2002$").split()
        lost.host.run("kill", "-KILL", pid)
        eventually(
            lambda old=pid: lost.host.ask("pgrep", "-f", "sleep 2002$").stdout.split() not in ([], [old]),
            what="kept alive without Hermes",
        )
    lost.host.heal()
    eventually(lambda: cluster.alive(name) == ALL, within=60, what="it is back")
    eventually(lambda: sorted(cluster.runs("2001")) == others(name), within=60, what="given back")
    everywhere(cluster)
    assert sorted(cluster.runs("2002")) == ALL
    eventually(
        lambda: len([r for r in reasons(left, "service-failed", name) if "signal 9" in r]) == 3,
        what="what happened meanwhile is told",
    )
    fired_once(left)


def test_an_old_leader_that_wakes_up_writes_nothing(cluster):
    cluster.push(EACH + TICK)
    eventually(lambda: cluster.where("each") == ALL, what="one on each")
    name = cluster.leader()
    old, left = cluster.hosts[name], cluster.somebody(name)
    epoch = int(cluster.key("epochs/zeus")[0])
    old.host.freeze()
    eventually(lambda: cluster.leader() not in ("", name), within=60, what="another leads")
    cluster.push(EACH.replace("2002", "2004") + TICK, name)
    eventually(lambda: sorted(cluster.runs("2004", name)) == others(name), what="the others have it")
    goes_on(left)
    old.host.thaw()
    eventually(
        lambda: cluster.runs("2004", *others(name)) == [name], within=60, what="it does what the new one says"
    )
    eventually(lambda: "leads_no_more role=zeus" in old.log(), within=60, what="it knows")
    eventually(lambda: cluster.where("each") == ALL, within=60, what="one on each")
    assert cluster.leader() != name
    applied = [e for e in left.events("type=olympus.zeus.applied&limit=1000")]
    revisions = [event["data"]["revision"] for event in applied]
    assert len(revisions) == len(set(revisions)), "a commit was applied by two leaders"
    for node in ALL:
        assert cluster.desired(node)["epoch"] > epoch
    assert cluster.runs("2002") == []
    fired_once(left)


def test_a_node_is_drained_and_taken_back(cluster):
    cluster.push(PAIR + EACH)
    everywhere(cluster)
    name = cluster.where("pair")[1]
    somebody = cluster.somebody(name)
    somebody.cli("node", "drain", name)
    eventually(lambda: cluster.where("pair") == others(name), what="its replica went")
    eventually(lambda: cluster.where("each") == others(name), what="it is empty")
    assert cluster.runs("2001", *others(name)) == cluster.runs("2002", *others(name)) == []
    assert "Drained" in somebody.cli("describe", "node", name)
    somebody.cli("node", "uncordon", name)
    eventually(lambda: cluster.where("each") == ALL, what="one on each")
    assert cluster.where("pair") == others(name), "what runs well is not moved back"
