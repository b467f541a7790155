"""The kinds of the contract, as models. `KINDS` maps each name to the model of its `spec`."""

from __future__ import annotations

from typing import Final

from olympus.spec.kinds.access import AccessSpec, SecretSpec, SilenceSpec, WebhookSpec
from olympus.spec.kinds.asset import AssetSpec, AssetTypeSpec
from olympus.spec.kinds.base import API_VERSION, Spec
from olympus.spec.kinds.check import CheckSpec
from olympus.spec.kinds.logwatch import LogWatchSpec
from olympus.spec.kinds.node import NodeSpec
from olympus.spec.kinds.pipeline import PipelineSpec
from olympus.spec.kinds.rule import RuleSpec, RuleTestSpec
from olympus.spec.kinds.schedule import ScheduleSpec, WindowSpec
from olympus.spec.kinds.service import ServiceSpec

__all__ = [
    "API_VERSION",
    "KINDS",
    "AccessSpec",
    "AssetSpec",
    "AssetTypeSpec",
    "CheckSpec",
    "LogWatchSpec",
    "NodeSpec",
    "PipelineSpec",
    "RuleSpec",
    "RuleTestSpec",
    "ScheduleSpec",
    "SecretSpec",
    "ServiceSpec",
    "SilenceSpec",
    "Spec",
    "WebhookSpec",
    "WindowSpec",
]

KINDS: Final[dict[str, type[Spec]]] = {
    "Node": NodeSpec,
    "Service": ServiceSpec,
    "Check": CheckSpec,
    "Pipeline": PipelineSpec,
    "Schedule": ScheduleSpec,
    "LogWatch": LogWatchSpec,
    "Rule": RuleSpec,
    "RuleTest": RuleTestSpec,
    "Webhook": WebhookSpec,
    "Secret": SecretSpec,
    "Asset": AssetSpec,
    "AssetType": AssetTypeSpec,
    "Silence": SilenceSpec,
    "Window": WindowSpec,
    "Access": AccessSpec,
}
