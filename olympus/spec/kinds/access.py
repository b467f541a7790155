"""Webhook, Secret, Access, Silence: who may come in, and with what."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from olympus.spec.kinds.base import (
    AbsolutePath,
    Condition,
    EnvName,
    Json,
    MomentText,
    Name,
    Nodes,
    SelectorText,
    Spec,
    Text,
    exactly_one,
    formed,
)


class SecretUse(Spec):
    secret: Name


class Hmac(Spec):
    """Hex SHA-256 of the body, keyed, in a header."""

    secret: Name
    header: Annotated[str, formed(r"^[a-z0-9_]+$", "is written in lower case, with '_' for '-': x_signature")]
    """Lower case with '_': `x_signature`."""


class VerifyWebhook(Spec):
    """Exactly one of github, gitlab, hmac and token."""

    ONE_OF: ClassVar = ("github", "gitlab", "hmac", "token")

    github: SecretUse | None = None
    gitlab: SecretUse | None = None
    hmac: Hmac | None = None
    token: SecretUse | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "verify")
        return self

    @property
    def secret(self) -> str:
        """The name of the secret that it is verified with."""
        given = self.github or self.gitlab or self.hmac or self.token
        return given.secret if given else ""


class WebhookSpec(Spec):
    """`POST /hooks/NAME` starts the pipeline."""

    verify: VerifyWebhook
    dedupe: Text | None = None
    """An expression over body, header and query: what has been seen already is a duplicate."""
    where: Condition | None = None
    pipeline: Name
    params: dict[str, Json] = Field(default_factory=dict)


class Vault(Spec):
    path: Text
    key: Text = "value"


class Sops(Spec):
    file: Text
    key: Text


class SecretFrom(Spec):
    """Exactly one of file, env, systemd, vault and sops."""

    ONE_OF: ClassVar = ("file", "env", "systemd", "vault", "sops")

    file: AbsolutePath | None = None
    env: EnvName | None = None
    systemd: Text | None = None
    vault: Vault | None = None
    sops: Sops | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "from")
        return self


class SecretSpec(Spec):
    """Only where it is, and who may use it."""

    from_: SecretFrom
    pipelines: list[Name] = Field(default_factory=list)
    webhooks: list[Name] = Field(default_factory=list)
    nodes: Nodes = Nodes()


class AccessSpec(Spec):
    users: list[Text] = Field(default_factory=list)
    groups: list[Text] = Field(default_factory=list)
    role: Literal["viewer", "operator", "admin"]
    selector: SelectorText = ""
    notes: list[Text] = Field(default_factory=list)


class SilenceSpec(Spec):
    """No remedies until then."""

    rules: list[Name] = Field(default_factory=list)
    nodes: Nodes = Nodes()
    until: MomentText
    reason: Text
