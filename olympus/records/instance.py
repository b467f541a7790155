"""A service's instance as the steward of its node sees it.

It lies at `instances/NODE/SERVICE` and is written by that node alone.
The first fields are those of `status.instances` in the contract; the rest say why and since what.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal, TypeAlias

from olympus.hermes import keys
from olympus.hermes.kv import Entry
from olympus.kernel.errors import Invalid
from olympus.records.document import Document, Moment

log = logging.getLogger("olympus.zeus")

InstanceState: TypeAlias = Literal["starting", "running", "backoff", "crashlooping", "stopped", "unknown"]


class ProcessIdentity(Document):
    """A process for certain: a pid is used again, boot id + pid + start time is not.

    start_time: clock ticks since boot, as in /proc/PID/stat
    """

    boot_id: str
    pid: int
    start_time: int


class LastExit(Document):
    """How the last process ended. `code` as subprocess has it (negative: the signal); None: not knowable."""

    code: int | None
    at: Moment


class CheckResult(Document):
    """The last answer of one of the service's checks, in their order; `passing` is None before the first."""

    name: str
    passing: bool | None = None
    failures: int = 0
    message: str = ""


class Instance(Document):
    """One instance.

    healthy:            all checks pass (without checks: it runs); None while not yet known
    since:              when `state` became what it is
    healthy_since:      when it became healthy without a break; None while it is not
    restarts:           how often the steward started it again by itself since `generation` changed
    reason:             one CamelCase word, as in conditions: `Exited`, `CheckFailed`, `DependencyNotReady`, …
    observed_revision:  revision of the desired state that the steward works by
    observed_digest:    `InstanceSpec.digest` that is fully put into effect
    generation:         `InstanceSpec.generation` that the running process was started with
    restart_token:      the last `InstanceSpec.restart_token` that was honoured
    suspended:          it is left as it is, by order
    """

    service: str
    node: str
    state: InstanceState
    pid: int | None = None
    healthy: bool | None = None
    restarts: int = 0
    since: Moment
    reason: str = ""
    message: str = ""
    healthy_since: Moment | None = None
    last_exit: LastExit | None = None
    checks: tuple[CheckResult, ...] = ()
    observed_revision: str | None = None
    observed_digest: str | None = None
    generation: str | None = None
    restart_token: str = ""
    suspended: bool = False
    identity: ProcessIdentity | None = None


def instances_of(entries: Iterable[Entry]) -> dict[str, dict[str, Instance]]:
    """Node → service → instance. What is no instance, or speaks of another one than its key, is left out."""
    found: dict[str, dict[str, Instance]] = {}
    for entry in entries:
        node, _, service = entry.key.removeprefix(keys.INSTANCES).partition("/")
        try:
            instance = Instance.from_bytes(entry.value)
        except Invalid as exc:
            log.warning("instance_not_read", extra={"key": entry.key, "reason": str(exc)})
            continue
        if (instance.node, instance.service) == (node, service):
            found.setdefault(node, {})[service] = instance
        else:
            log.warning("instance_not_its_own", extra={"key": entry.key, "node": instance.node})
    return found
