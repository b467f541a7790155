"""A cluster as `olympus init --cluster` secures it: Consul with TLS and ACLs, a controller, a node, a stranger.

The files are used as their README says: only addresses and paths differ, for all of it is on this machine.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.consul_client import ConsulAddress
from olympus.hermes.kv import PartialRead, Put
from olympus.hermes.kv_consul import open_consul
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.testing.cluster import OlympusProcess, eventually, free_port
from olympus.testing.consul_agent import ConsulAgent, find_consul

pytestmark = [pytest.mark.consul, pytest.mark.slow]

MANAGER = "11111111-2222-3333-4444-555555555555"
ON_THE_NODE = """
apiVersion: olympus/v1
kind: Check
metadata: {name: alive}
spec: {nodes: {selector: role=web}, file: {path: /etc/hostname}, failWhen: value.exists, every: 200ms}
---
apiVersion: olympus/v1
kind: Node
metadata: {name: n1, labels: {role: web}}
spec: {}
---
apiVersion: olympus/v1
kind: Service
metadata: {name: web}
spec: {nodes: {selector: role=web}, run: {process: {command: [sleep, "SECONDS"]}}}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: there}
spec:
  nodes: {selector: role=web}
  steps: [{name: say, run: [echo, "there"]}]
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: asks}
spec:
  steps: [{name: ask, approve: {role: admin}}, {name: say, run: [echo, "approved"]}]
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: carry}
spec:
  steps:
    - {name: here, script: "echo from here > out", artifacts: {save: {first: out}}}
    - name: there
      delegate: {selector: role=web, pick: one}
      script: "cat in > out; echo and there >> out"
      artifacts: {load: {first: in}, save: {second: out}}
    - {name: back, script: "cat in", artifacts: {load: {second: in}}}
"""


def specs(seconds: int = 86420) -> dict[str, str]:
    return {"specs.yaml": ON_THE_NODE.replace("SECONDS", str(seconds))}


@dataclass
class Cluster:
    """c1 (a server agent and a controller), n1 (a client agent and a node); n2 has a token and no host yet."""

    folder: Path
    agents: dict[str, ConsulAgent] = field(default_factory=dict)
    tokens: dict[str, Path] = field(default_factory=dict)
    olympus: dict[str, OlympusProcess] = field(default_factory=dict)

    def consul(self, *args: str, token: str = MANAGER) -> str:
        env = {"CONSUL_HTTP_ADDR": self.agents["c1"].address, "CONSUL_HTTP_TOKEN": token, "HOME": "/"}
        done = subprocess.run(
            [str(find_consul()), *args], env=env, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def token_of(self, name: str) -> str:
        return self.tokens[name].read_text().strip()

    def agent_token(self, name: str) -> str:
        made = self.consul("acl", "token", "create", "-node-identity", f"{name}:dc1", "-format=json")
        return str(json.loads(made)["SecretID"])

    def make_token(self, name: str, policy: str) -> None:
        """As the README says."""
        self.consul(
            "acl", "policy", "create", "-name", f"olympus-{name}", "-rules", f"@policies/{policy}.hcl"
        )
        made = self.consul("acl", "token", "create", "-policy-name", f"olympus-{name}", "-format=json")
        self.tokens[name] = self.folder / f"{name}.token"
        self.tokens[name].touch(mode=0o600)
        self.tokens[name].write_text(json.loads(made)["SecretID"] + "\n")

    def hermes(self, name: str, agent: str | None = None) -> tuple[str, ...]:
        where = self.agents[agent or name].address
        return ("--hermes", f"consul://{where}", "--hermes-token-file", str(self.tokens[name]))

    def process(self, name: str, *args: str) -> OlympusProcess:
        where, token = self.hermes(name)[1], self.hermes(name)[2:]
        return OlympusProcess(self.folder / "state" / name, node=name, hermes=where, args=(*token, *args))

    @property
    def c1(self) -> OlympusProcess:
        return self.olympus["c1"]

    @asynccontextmanager
    async def kv(self, name: str | None = None):
        token = MANAGER if name is None else self.token_of(name)
        kv = await open_consul(ConsulAddress("127.0.0.1", self.agents["c1"].port, token=token))
        try:
            yield kv
        finally:
            await kv.close()

    def status(self, name: str, method: str, path: str, body: object = None) -> int:
        """The HTTP status of a plain request to c1's agent with the token of `name`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.agents['c1'].address}{path}",
            data=None if body is None else data,
            method=method,
            headers={"X-Consul-Token": self.token_of(name)},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def instance(self) -> dict:
        (found,) = eventually(self.instances, what="web on n1", within=40)
        return found

    def instances(self) -> list[dict]:
        found = self.c1.get("/api/v1/services/web")["status"]["instances"]
        return [one for one in found if one["state"] == "running" and one["node"] == "n1"]

    def ready(self) -> dict:
        conditions = self.c1.get("/api/v1/nodes/n1")["status"]["conditions"]
        return next(one for one in conditions if one["type"] == "Ready")

    def doctor(self, name: str, *args: str, hermes: tuple[str, ...] = ()) -> tuple[int, dict[str, dict]]:
        state = self.folder / "state" / name
        command = ["doctor", "--state", str(state), "--node", name, *(hermes or self.hermes(name)), *args]
        done = run_olympus(*command, "-o", "json")
        return done.returncode, {one["check"]: one for one in json.loads(done.stdout)["items"]}


def run_olympus(*args: str, within: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "olympus.cli.main", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=within)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    binary = find_consul()
    if binary is None:
        pytest.skip("no Consul: make consul")
    folder = tmp_path_factory.mktemp("secured")
    folder.chmod(0o711)
    (folder / "state").mkdir()
    here = Cluster(folder)
    done = run_olympus("init", str(folder), "--cluster", "--controller", "c1", "--node", "n1", "n2")
    assert done.returncode == 0, done.stderr
    gossip = subprocess.run([binary, "keygen"], capture_output=True, text=True, check=True).stdout.strip()
    for command in (["tls", "ca", "create"], ["tls", "cert", "create", "-server", "-dc", "dc1"]):
        subprocess.run([binary, *command], cwd=folder, capture_output=True, check=True)
    for name in ("dc1-server-consul-0.pem", "dc1-server-consul-0-key.pem"):
        (folder / name).rename(folder / name.replace("-0", ""))
    for file in (folder / "consul").iterdir():
        text = file.read_text().replace("GOSSIP-KEY", gossip).replace("/etc/consul.d/", f"{folder}/")
        file.write_text(text.replace('["c1"]', "[]"))
    # What differs from the files: the management token is known, and agents forget policies sooner.
    settings = {"acl": {"tokens": {"initial_management": MANAGER}, "policy_ttl": "1s", "token_ttl": "1s"}}
    server = ConsulAgent(
        binary, folder / "data-c1", settings=settings, token=MANAGER, config=folder / "consul/server-c1.hcl"
    )
    here.agents["c1"] = server
    client = ConsulAgent(
        binary, folder / "data-n1", token=MANAGER, config=folder / "consul/client-n1.hcl", server=server
    )
    here.agents["n1"] = client
    try:
        server.start()
        here.consul("acl", "set-agent-token", "agent", here.agent_token("c1"))
        file = folder / "consul/client-n1.hcl"
        file.write_text(file.read_text().replace("AGENT-TOKEN", here.agent_token("n1")))
        client.start()
        here.make_token("c1", "controller-c1")
        here.make_token("n1", "node-n1")
        here.make_token("n2", "node-n2")
        here.olympus["c1"] = here.process("c1")
        here.olympus["n1"] = here.process("n1", "--gods", "steward,worker,argos")
        here.c1.start()
        here.olympus["n1"].start()
        eventually(lambda: len(here.c1.get("/api/v1/nodes")["items"]) == 2, what="both are registered")
        assert "applied" in here.c1.push(specs())
        here.instance()
        yield here
        here.c1.push({}, "-o", "prune=confirm")
        eventually(
            lambda: here.status("c1", "GET", f"/v1/kv/{keys.instance('n1', 'web')}") == 404, what="gone"
        )
    finally:
        for process in here.olympus.values():
            process.stop()
        client.close()
        server.close()


def test_a_service_and_a_step_run_on_the_node(cluster: Cluster):
    assert cluster.instance()["healthy"] is True
    run = cluster.c1.run("there")
    assert run["state"] == "succeeded"
    assert [(step["node"], step["state"]) for step in run["steps"]] == [("n1", "succeeded")]
    # It has no Apollo, and what it registers is not followed.
    written = cluster.c1.ask("GET", f"/api/v1/runs/{run['id']}/logs")
    assert (written.status, "[olympus: node 'n1' answers nobody" in written.text) == (200, True)
    written = cluster.c1.ask("GET", f"/api/v1/runs/{run['id']}/logs?node=n1")
    assert (written.status, "runs no Apollo" in written.text) == (404, True)


def test_a_node_tells_how_its_check_stands_with_its_own_token(cluster: Cluster):
    def stands():
        status = cluster.c1.get("/api/v1/checks/alive")["status"]
        return [(one["node"], one["state"]) for one in status["nodes"]] == [("n1", "failing")]

    eventually(stands, what="told by n1")
    assert [one["node"] for one in cluster.c1.events("type=olympus.argos.check-failed")] == ["n1"]


async def test_what_a_step_saved_gets_to_the_other_host_and_back(cluster: Cluster):
    run = cluster.c1.run("carry")
    assert run["state"] == "succeeded", run
    assert [step["node"] for step in run["steps"]] == ["c1", "n1", "c1"]
    path = f"/api/v1/runs/{run['id']}/logs?step=back"
    assert cluster.c1.ask("GET", path).text == "from here\nand there\n"
    async with cluster.kv() as operator, asyncio.timeout(20):
        async for found in operator.watch(keys.ARTIFACTS):
            if not found.entries:
                return


FORBIDDEN = [
    keys.desired("n1"),
    keys.desired("n2"),
    keys.registration("n2"),
    keys.refusal("n2"),
    keys.order("n2", "x"),
    keys.order("c1", "x"),
    keys.check("n2", "alive"),
    keys.instance("n2", "web"),
    keys.instance("n10", "web"),
    keys.head("n2"),
    keys.head("n1") + "0",
    keys.segment("n2", 0),
    keys.controller("n1"),
    keys.controller("n2"),
    keys.controller("c1"),
    keys.CATALOG,
    keys.OFFER,
    keys.OUTCOME,
    keys.HOSTS,
    keys.SOURCE,
    keys.chunk("x"),
    keys.artifacts("n2", "r") + "x",
    keys.artifacts("c1", "r") + "x",
    keys.run("x"),
    keys.live_run("x"),
    keys.pipeline("x"),
    keys.start("x"),
    keys.schedule("x"),
    keys.intent("service", "web"),
    keys.cursor("hephaestus"),
    keys.lease("zeus"),
    keys.epoch("zeus"),
    keys.TOKENS + "x",
    keys.AUDIT + "x",
    "elsewhere",
]


@pytest.mark.parametrize("key", FORBIDDEN)
async def test_a_node_writes_no_key_but_its_own(cluster: Cluster, key):
    assert cluster.status("n1", "PUT", f"/v1/kv/{key}", b"forged") == 403
    async with cluster.kv() as operator:
        before = await operator.get(key)
        async with cluster.kv("n1") as kv:
            with pytest.raises(Refused, match=f"lacks permission 'key:write' on \"{key}\""):
                await kv.transact([Put(key, b"forged")])
        assert await operator.get(key) == before


@pytest.mark.parametrize(
    "key", [keys.TOKENS, keys.AUDIT, keys.RUNS, keys.orders("n2"), keys.NODES, keys.CATALOG]
)
async def test_a_node_reads_no_more_than_it_needs(cluster: Cluster, key):
    async with cluster.kv("n1") as kv, cluster.kv() as operator:
        if key == keys.orders("n2"):
            await operator.transact([Put(keys.order("n2", "x"), b"{}")])
        with pytest.raises(PartialRead if key.endswith("/") else Refused):
            await (kv.scan(key) if key.endswith("/") else kv.get(key))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/agent/service/register", {"Name": "olympus-c1", "ID": "olympus-c1"}),
        ("PUT", "/v1/agent/service/register", {"Name": "olympus-n2", "ID": "olympus-n2"}),
        ("PUT", "/v1/agent/service/register", {"Name": "postgres"}),
        ("PUT", "/v1/agent/service/deregister/olympus-c1", None),
        ("PUT", "/v1/agent/check/fail/olympus-c1-alive", None),
        ("PUT", "/v1/agent/check/register", {"Name": "sick", "TTL": "10s", "Status": "critical"}),
        ("PUT", "/v1/catalog/register", {"Node": "c1", "Address": "127.0.0.9"}),
        (
            "PUT",
            "/v1/catalog/register",
            {
                "Node": "c1",
                "Address": "127.0.0.1",
                "SkipNodeUpdate": True,
                "Service": {"Service": "olympus-c1"},
            },
        ),
        ("PUT", "/v1/catalog/deregister", {"Node": "c1", "ServiceID": "olympus-c1"}),
        ("PUT", "/v1/catalog/deregister", {"Node": "c1"}),
        ("PUT", "/v1/session/create", {}),
        ("PUT", "/v1/acl/policy", {"Name": "mine", "Rules": 'key_prefix "" { policy = "write" }'}),
        ("GET", "/v1/acl/tokens", None),
        ("PUT", "/v1/event/fire/x", b""),
        ("GET", "/v1/snapshot", None),
        ("PUT", "/v1/agent/leave", None),
    ],
)
def test_a_node_changes_nothing_else_in_consul(cluster: Cluster, method, path, body):
    body = body if method == "GET" or body is not None else b""
    assert cluster.status("n1", method, path, body) == 403


def test_a_controller_changes_no_other_controller_s_key(cluster: Cluster):
    assert cluster.status("c1", "PUT", f"/v1/kv/{keys.controller('c2')}", b"{}") == 403
    assert cluster.status("c1", "PUT", f"/v1/kv/{keys.ROOT}trust/x", b"{}") == 403


async def test_what_a_node_forges_on_the_bus_is_heard_by_nobody(cluster: Cluster):
    run = cluster.c1.post("/api/v1/pipelines/asks/runs", {"params": {}})["id"]
    eventually(lambda: cluster.c1.get(f"/api/v1/runs/{run}")["state"] == "waiting", what="it asks")

    def forged(type_: str, **data: object) -> Event:
        return Event(new_id(), type_, "olympus/apollo", datetime.now(UTC), data, node="n2")

    yes = {"run": run, "step": "ask", "by": "root", "role": "admin", "yes": True, "comment": ""}
    async with cluster.kv("n2") as kv:
        bus = Bus(kv, "n2", clock=SystemClock())
        await bus.publish(
            [
                forged("olympus.hephaestus.approval-given", **yes),
                forged(
                    "olympus.chronos.fired",
                    schedule="x",
                    pipeline="there",
                    params={},
                    slot="x",
                    overlap="allow",
                ),
                forged("olympus.zeus.node-lost", node="n1", reason="forged"),
                forged("olympus.zeus.node-lost", node="n2", reason="forged"),
            ]
        )
        honest = forged("olympus.argos.match", watch="w", name="x", severity="info", source="s", line="l")
        await bus.publish([honest])
    eventually(lambda: cluster.c1.events("type=olympus.argos.match"), what="what it tells of itself is heard")
    told = {(event["type"], event.get("node")) for event in cluster.c1.events("limit=1000")}
    assert not {type_ for type_, node in told if node == "n2"} - {"olympus.argos.match"}
    assert cluster.c1.get(f"/api/v1/runs/{run}")["state"] == "waiting"
    assert "events_refused" in cluster.c1.output()
    cluster.c1.post(f"/api/v1/runs/{run}/approve", {"step": "ask"})
    assert cluster.c1.finished(run)["state"] == "succeeded"


async def test_a_node_s_garbage_stops_nobody(cluster: Cluster):
    garbage = [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"first":0,"next":5}',
        b'{"first":0,"next":1000000000000,"bytes":0,"inline":null}',
    ]
    async with cluster.kv("n2") as kv:
        for raw in garbage:
            await kv.transact([Put(keys.head("n2"), raw), Put(keys.segment("n2", 1), raw)])
            await kv.transact([Put(keys.instance("n2", "web"), raw), Put(keys.registration("n2"), raw)])
            await kv.transact([Put(keys.order("n2", "x"), raw), Put(keys.refusal("n2"), raw)])
            assert cluster.c1.run("there")["state"] == "succeeded"
            assert cluster.c1.get("/api/v1/status")["node"] == "c1"
            assert cluster.c1.events("limit=10")
    cluster.c1.kill()
    cluster.c1.start()
    assert cluster.c1.run("there")["state"] == "succeeded"
    async with cluster.kv() as operator:
        for key in await operator.keys(keys.ROOT):
            if "/n2" in key and "trust" not in key:
                await asyncio.to_thread(cluster.agents["c1"].call, "DELETE", f"/v1/kv/{key}")


async def test_desired_states_that_no_controller_signed_or_that_are_old_are_refused(cluster: Cluster):
    pid = cluster.instance()["pid"]
    async with cluster.kv() as operator:
        old = (await operator.get(keys.desired("n1"))).value
        unsigned = old.partition(b"\n")[2].replace(b"86420", b"86429")
        altered = old.replace(b"86420", b"86429")
        assert altered != old
        for forged, why in ((unsigned, "it is not signed"), (altered, "it was altered")):
            await operator.transact([Put(keys.desired("n1"), forged)])
            eventually(lambda why=why: why in cluster.ready()["message"], what=why)
            assert cluster.ready()["reason"] == "DesiredRefused"
            assert cluster.instance()["pid"] == pid
        # The controller has not seen that: what it writes next is taken.
        cluster.c1.push(specs(86421))
        eventually(lambda: cluster.ready()["status"] == "True", what="taken again")
        new = eventually(
            lambda: next((i["pid"] for i in cluster.instances() if i["pid"] != pid), None), within=40
        )
        await operator.transact([Put(keys.desired("n1"), old)])
        eventually(lambda: "it is older" in cluster.ready()["message"], what="the replay is refused")
        refused = cluster.c1.events("type=olympus.zeus.desired-refused")
        assert [event["node"] for event in refused] == ["n1"] * 3
        assert "it is older" in refused[0]["data"]["reason"]
        # Also after a restart, when only what lies there could be taken.
        cluster.olympus["n1"].kill()
        cluster.olympus["n1"].start()
        eventually(lambda: cluster.c1.events("type=olympus.zeus.desired-refused")[3:], what="refused again")
        assert cluster.instance()["pid"] == new
    cluster.c1.push(specs())
    eventually(lambda: cluster.ready()["status"] == "True", what="taken again")
    eventually(lambda: cluster.instance()["pid"] != new, what="as declared")


async def test_orders_that_no_controller_signed_are_refused(cluster: Cluster):
    run = cluster.c1.run("there")["id"]
    order = {
        "id": f"{run}.say.n1.9",
        "run": run,
        "pipeline": "there",
        "step": "say",
        "node": "n1",
        "attempt": 9,
        "epoch": 10**6,
        "revision": "r",
        "issuedAt": "2026-01-01T00:00:00.000000Z",
        "action": {"do": "run", "argv": ["touch", str(cluster.folder / "forged")]},
        "workspace": {"key": f"{run}-n1"},
    }
    said = f"{keys.orders('n1')}{order['id']}"
    async with cluster.kv() as operator:
        for signature in (None, "c1:AAAA", "n1:AAAA"):
            await operator.transact([Put(said, orjson.dumps(order | {"signature": signature}))])
            await until_gone(operator, said)
    assert not (cluster.folder / "forged").exists()
    for why in ("it is not signed", "its signature is not that", "no controller of"):
        assert why in cluster.olympus["n1"].output()
    assert cluster.c1.run("there")["state"] == "succeeded", "the forged epoch was not believed"


async def until_gone(kv, key: str) -> None:
    """The node has refused it, and the coordinator has taken it away."""
    async with asyncio.timeout(20):
        async for found in kv.watch(key):
            if not found.entries:
                return


def test_a_node_s_token_is_no_controller_s(cluster: Cluster):
    state = str(cluster.folder / "state" / "wrong")
    done = run_olympus(
        "up", "--state", state, "--node", "n2", "--listen", "127.0.0.1:0", *cluster.hermes("n2", "c1")
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "lacks permission 'key:write' on \"olympus/trust/controllers/n2\"" in done.stderr
    assert "needs a controller's token" in done.stderr


def test_another_node_s_token_is_not_this_node_s(cluster: Cluster):
    state = str(cluster.folder / "state" / "other")
    where = ("--state", state, "--node", "n3", "--gods", "steward,worker")
    done = run_olympus("up", *where, *cluster.hermes("n2", "c1"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "olympus: Consul refuses" in done.stderr
    assert "olympus-n3" in done.stderr or "nodes/n3" in done.stderr


@pytest.mark.parametrize(
    ("kept_back", "said"),
    [
        ('node_prefix "" { policy = "read" }', "kept back nodes"),
        ('service_prefix "" { policy = "read" }', "kept back nodes"),
        ('key_prefix "olympus/" { policy = "write" }', "olympus: Consul"),
    ],
)
def test_a_partial_read_prunes_nothing(cluster: Cluster, kept_back, said):
    pid = cluster.instance()["pid"]
    rules = (cluster.folder / "policies/controller-c1.hcl").read_text()
    (cluster.folder / "policies/narrow.hcl").write_text(rules.replace(kept_back, ""))
    assert kept_back in rules
    process, before = cluster.c1.process, len(cluster.c1.output())
    try:
        cluster.consul("acl", "policy", "update", "-name", "olympus-c1", "-rules", "@policies/narrow.hcl")

        def ended():
            # What stirs the registry's watch, so that it need not end by itself first.
            for what in (b'{"Name": "stirs"}', None):
                path = "/v1/agent/service/" + ("register" if what else "deregister/stirs")
                cluster.agents["c1"].call("PUT", path, what or b"")
            return process.poll() is not None

        eventually(ended, within=60, what="it ends")
        assert process.returncode == 1
        said_last = cluster.c1.output()[before:]
        assert "Traceback" not in said_last, said_last
        assert said in said_last.splitlines()[-1]
        again = run_olympus(
            *("up", "--state", str(cluster.folder / "state/c1"), "--node", "c1"),
            *("--listen", f"127.0.0.1:{free_port()}", *cluster.hermes("c1")),
        )
        assert (again.returncode, said in again.stderr.splitlines()[-1]) == (1, True), again.stderr
    finally:
        cluster.consul(
            "acl", "policy", "update", "-name", "olympus-c1", "-rules", "@policies/controller-c1.hcl"
        )
    eventually(lambda: cluster.status("c1", "GET", "/v1/catalog/node/n1") == 200, what="the rights are back")
    time.sleep(2)
    cluster.c1.start()
    assert cluster.instance()["pid"] == pid
    lost = [event for event in cluster.c1.events("type=olympus.zeus.node-lost") if event["node"] == "n1"]
    assert lost == []


def test_the_doctor_finds_it_healthy(cluster: Cluster):
    for name in ("c1", "n1"):
        code, found = cluster.doctor(name)
        assert {what: one["advice"] for what, one in found.items() if one["ok"] is not True} == {}
        assert code == 0
        assert "this token may write nothing of others" in found
        assert "Consul's agents talk by TLS and look at certificates" in found
    assert "controller.key is private" in cluster.doctor("c1")[1]


def test_the_doctor_finds_what_is_wrong(cluster: Cluster):
    wide = cluster.folder / "policies/wide.hcl"
    wide.write_text(
        (cluster.folder / "policies/node-n2.hcl").read_text()
        + 'key_prefix "olympus/nodes/" { policy = "write" }'
    )
    cluster.make_token("wide", "wide")
    cluster.tokens["wide"].chmod(0o644)
    code, found = cluster.doctor("n2", hermes=cluster.hermes("wide", "c1"))
    wrong = {what: one["advice"] for what, one in found.items() if one["ok"] is False}
    assert code == 1
    assert set(wrong) == {"wide.token is private", "this token may write nothing of others"}
    assert "olympus/nodes/" in wrong["this token may write nothing of others"]
    assert found["the settings of Consul's agent (agent 'n2' may not be read)"]["ok"] is None
    key = cluster.folder / "state/c1/controller.key"
    key.chmod(0o644)
    assert cluster.doctor("c1")[1]["controller.key is private"]["ok"] is False
    key.chmod(0o600)


def test_the_doctor_finds_a_consul_without_acls(cluster: Cluster, consul_agent):
    hermes = ("--hermes", f"consul://{consul_agent.address}")
    code, found = cluster.doctor("n1", hermes=hermes)
    assert code == 1
    assert "olympus init --cluster" in found["Consul's ACLs are on"]["advice"]


def test_pinned_keys_count_whatever_lies_in_hermes(cluster: Cluster):
    pins, node = cluster.folder / "state/n1/controllers.pub", cluster.olympus["n1"]
    mine = (cluster.folder / "state/c1/controller.pub").read_text()
    stranger = (cluster.folder / "state/wrong/controller.pub").read_text().split()[1]
    try:
        node.stop()
        pins.write_text(mine)
        pins.chmod(0o644)
        node.start()
        assert cluster.c1.run("there")["state"] == "succeeded"
        node.stop()
        pins.write_text(f"c1 {stranger}\n")
        node.start()
        run = cluster.c1.run("there")
        assert run["state"] == "failed"
        assert "node n1 refused it: its signature is not that of controller 'c1'" in json.dumps(run)
    finally:
        node.stop()
        pins.unlink()
        node.start()
    assert cluster.c1.run("there")["state"] == "succeeded"


def test_init_adds_a_host_and_changes_no_file(cluster: Cluster):
    before = {file: file.read_text() for file in cluster.folder.glob("*/*.hcl")}
    done = run_olympus("init", str(cluster.folder), "--cluster", "--controller", "c1", "--node", "n1", "n4")
    assert done.returncode == 0
    assert "policies/node-n4.hcl" in done.stdout
    assert {file: file.read_text() for file in before} == before
    again = run_olympus("init", str(cluster.folder), "--cluster", "--node", "n4")
    assert "there already" in again.stdout
