"""What Zeus remembers of replacing a service's instances: `zeus/rollouts/SERVICE`, written by the controller.

Kept while new instances are not yet proven, and after a failure until the service is declared differently.
"""

from __future__ import annotations

from pydantic import Field

from olympus.records.desired import InstanceSpec
from olympus.records.document import Document, Moment


class Rollout(Document):
    """A roll-out in flight, or one that was undone.

    goal: digest of what is rolled out; previous: what worked before, by node; failed: why it was undone.
    """

    service: str
    goal: str
    started: Moment
    previous: dict[str, InstanceSpec] = Field(default_factory=dict)
    failed: str | None = None
    failed_on: str | None = None
