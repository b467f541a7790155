"""What a host can see of how its Consul is secured: nothing is changed by looking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from olympus.hermes import keys
from olympus.hermes.consul_client import ConsulAddress, ConsulAnswer
from olympus.hermes.kv import Cas, TransactionConflict
from olympus.hermes.kv_consul import ConsulKv, open_consul
from olympus.kernel.errors import OlympusError, Refused

_NO_VERSION: Final = 2**53
"""That no key will have: a write that is allowed fails by it, one that is not fails before."""

_OTHERS: Final = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """good: None where this token may not see it. advice: what to do where it is not good."""

    what: str
    good: bool | None
    advice: str = ""


async def inspect(address: ConsulAddress, node: str, *, controls: bool) -> list[Finding]:
    """controls: whether this host is a controller. Raises HermesUnreachable."""
    kv = await open_consul(address)
    try:
        if not await _acls(kv):
            off = "Consul's ACLs are on"
            return [Finding(off, False, "olympus init --cluster DIR writes settings and policies")]
        findings = [Finding("Consul's ACLs are on", True), await _denies(address)]
        try:
            await kv.get(keys.controller(node))
        except Refused as exc:
            return [*findings, Finding("Consul takes this token", False, str(exc))]
        return [*findings, *await _writes(kv, node, controls=controls), *await _agent(kv, node)]
    finally:
        await kv.close()


async def _acls(kv: ConsulKv) -> bool:
    try:
        answer = await _get(kv, "/v1/acl/token/self")
    except Refused:
        return True
    return answer.code == 200


async def _denies(address: ConsulAddress) -> Finding:
    what = "who has no token may nothing (default_policy = deny)"
    nobody = await open_consul(ConsulAddress(address.host, address.port, tls=address.tls, ca=address.ca))
    try:
        await nobody.get(keys.CATALOG)
    except Refused:
        return Finding(what, True)
    finally:
        await nobody.close()
    return Finding(what, False, 'acl { default_policy = "deny" }, and no policy for the anonymous token')


async def _writes(kv: ConsulKv, node: str, *, controls: bool) -> list[Finding]:
    others = await _others(kv, node)
    foreign = [keys.controller(name) for name in others]
    if not controls:
        foreign += [keys.controller(node), keys.desired(node), keys.CATALOG, keys.OFFER]
        foreign += [keys.run("x"), keys.chunk("x"), keys.TOKENS + "x", keys.lease("zeus"), keys.epoch("zeus")]
        foreign += [key for name in others for key in _parts(name)]
        foreign += [keys.desired(name) for name in others]
    allowed = [key for key in foreign if await _may_write(kv, key)]
    own = [
        key for key in (*_parts(node), *([keys.CATALOG] if controls else [])) if not await _may_write(kv, key)
    ]
    policy = (
        f"give it the policy {'controller' if controls else 'node'}-{node}.hcl of olympus init --cluster DIR"
    )
    return [
        Finding(
            "this token may write what is its host's", not own, f"it may not write {_named(own)}: {policy}"
        ),
        Finding(
            "this token may write nothing of others", not allowed, f"it may write {_named(allowed)}: {policy}"
        ),
    ]


def _parts(name: str) -> list[str]:
    """A key of each thing that a node writes."""
    return [key + "x" if key.endswith("/") else key for key in keys.node_writes(name)]


async def _others(kv: ConsulKv, node: str) -> list[str]:
    """Names of other nodes; one that there is not stands for all."""
    try:
        found = {key.removeprefix(keys.INSTANCES).partition("/")[0] for key in await kv.keys(keys.INSTANCES)}
    except OlympusError:
        found = set()
    return ["olympus-doctor", *sorted(found - {node})[:_OTHERS]]


async def _may_write(kv: ConsulKv, key: str) -> bool:
    try:
        await kv.transact([Cas(key, b"", _NO_VERSION)])
    except TransactionConflict:
        return True
    except Refused:
        return False
    return True


async def _agent(kv: ConsulKv, node: str) -> list[Finding]:
    try:
        found: dict[str, Any] = orjson.loads((await _get(kv, "/v1/agent/self")).raw)
    except Refused:
        return [Finding(f"the settings of Consul's agent (agent {node!r} may not be read)", None)]
    settings = found["DebugConfig"]
    rpc, serf = settings["TLS"]["InternalRPC"], found["Stats"].get("serf_lan", {})
    encrypted = serf.get("encrypted") == "true"
    tls = rpc["VerifyOutgoing"] and (rpc["VerifyServerHostname"] or not settings["TLS"]["ServerMode"])
    scripts = settings["EnableLocalScriptChecks"] or settings["EnableRemoteScriptChecks"]
    away = [one for one in settings["HTTPAddrs"] if not _is_local(one)]
    return [
        Finding(
            "Consul's agent bears this node's name",
            settings["NodeName"] == node,
            f'it is {settings["NodeName"]!r}: policies grant sessions by that name. node_name = "{node}"',
        ),
        Finding("Consul's gossip is encrypted", encrypted, "encrypt = (consul keygen), the same everywhere"),
        Finding(
            "Consul's agents talk by TLS and look at certificates",
            bool(tls),
            "tls { internal_rpc { verify_server_hostname = true }, defaults { verify_outgoing = true } }",
        ),
        Finding(
            "Consul runs no scripts",
            not scripts,
            "enable_script_checks = false, enable_local_script_checks = false",
        ),
        Finding(
            "Consul runs nothing for others", settings["DisableRemoteExec"], "disable_remote_exec = true"
        ),
        Finding(
            "Consul's plain HTTP is for this host alone",
            not away,
            f'it listens on {_named(away)}: addresses {{ http = "127.0.0.1" }}',
        ),
    ]


def _is_local(address: str) -> bool:
    return address.startswith(("tcp://127.", "tcp://[::1]", "unix://"))


def _named(keys_: Iterable[str]) -> str:
    return ", ".join(list(keys_)[:3])


async def _get(kv: ConsulKv, path: str) -> ConsulAnswer:
    answer: ConsulAnswer = await kv.client.http.get(lambda one: one, path, headers=kv.client.token_headers)
    return answer
