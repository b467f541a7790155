"""Consul's ACL policies for Olympus, made from the table of keys: who may write what, and nothing more.

A host's Consul agent has to bear the same name as its Olympus: sessions and agents are granted by it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from olympus.hermes import keys
from olympus.hermes.registry_consul import service_of

Access: TypeAlias = Literal["read", "write"]

_TRUST: Final = keys.ROOT + "trust/"


def node_policy(name: str) -> str:
    """Of a host that runs `--gods steward,worker,argos`. HCL."""
    return _policy(
        f"Olympus on {name}, a node: it writes what is its own, and reads what it needs.",
        *(_key(key, "read") for key in keys.node_reads(name)),
        *(_key(key, "write") for key in keys.node_writes(name)),
        _rule("service", service_of(name), "write"),
        _rule("agent", name, "read"),
    )


def controller_policy(name: str) -> str:
    """Of a host that leads, or takes pushes, or answers people. HCL."""
    return _policy(
        f"Olympus on {name}, a controller: all of Olympus's state, but of whom nodes trust only itself.",
        _key(keys.ROOT, "write"),
        _key(_TRUST, "read"),
        _key(keys.controller(name), "write"),
        _rule("session", name, "write"),
        _rule("service", service_of(name), "write"),
        _rule("agent", name, "read"),
        # Consul keeps back what may not be read, and Olympus concludes nothing from a part.
        _rule("service_prefix", "", "read"),
        _rule("node_prefix", "", "read"),
    )


def _policy(what: str, *rules: str) -> str:
    return f"# {what}\n" + "".join(rules)


def _key(key: str, access: Access) -> str:
    return _rule("key_prefix" if key.endswith("/") else "key", key, access)


def _rule(kind: str, name: str, access: Access) -> str:
    return f'{kind} "{name}" {{ policy = "{access}" }}\n'
