"""Node: a host that should be there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from olympus.spec.kinds.base import Spec, Text, UserName


class Allow(Spec):
    """What steps and services may do on the node."""

    users: list[UserName] = Field(default_factory=list)
    """Users, beside Olympus's default, that steps and services may run as."""


class NodeSpec(Spec):
    """Hosts register themselves; this says what is expected of one."""

    address: Text | None = None
    """Its address in the network."""
    maintenance: bool = False
    """Drain it: services move elsewhere, pipelines leave it out."""
    allow: Allow = Allow()
    mode: Literal["manage", "observe"] = "manage"
    """observe: report, change nothing."""
