"""A Service's `onFailure`, told more than once and of another service."""

from __future__ import annotations

from olympus.hephaestus.triggers import CRASHLOOPING, matches, params_for, remedy_of, triggers_of
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event


def crashlooping(service: str) -> Event:
    data = {"service": service, "node": "n1", "reason": "exit code 3"}
    return Event("1", CRASHLOOPING, "s", SystemClock().now(), data)


def test_it_is_for_its_own_service_and_gives_what_the_pipeline_knows():
    trigger = remedy_of("web", "mend", {"properties": {"service": {}, "reason": {}}})
    assert matches(trigger, crashlooping("web"))
    assert not matches(trigger, crashlooping("other"))
    assert params_for(trigger, crashlooping("web")) == {"service": "web", "reason": "exit code 3"}
    assert params_for(remedy_of("web", "mend", None), crashlooping("web")) == {}


def test_its_key_is_no_pipelines():
    (other,) = triggers_of("onfailure", [{"event": CRASHLOOPING}])
    assert remedy_of("0", "mend", None).key != other.key
    assert "/" in remedy_of("0", "mend", None).key
