"""The only reader of the environment and of files of settings.

Two sets: `Settings` for `olympus up`, and `ClientSettings` for every other command.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from olympus.kernel.errors import Invalid

GODS: Final = ("zeus", "chronos", "hephaestus", "athena", "apollo", "steward", "worker", "argos")
"""What `--gods` may name: the leaders (zeus, chronos, hephaestus, athena), the web, and a node's own hands."""

HANDS: Final = frozenset({"steward", "worker", "argos"})
"""What a node needs that is told what to do. A host that runs more is a controller: nodes believe it."""

DEFAULT_LISTEN: Final = "127.0.0.1:4280"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: `127.0.0.1:4280`, `[::1]:4280`."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class HermesSettings:
    """`consul` is None for the embedded store; else scheme, host and port of the local Consul agent."""

    consul: Address | None = None
    tls: bool = False
    token: str | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class SignOnSettings:
    """A provider of OpenID Connect, and what it knows us as."""

    issuer: str
    client: str
    secret: str
    groups: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All that `olympus up` was told."""

    state: Path
    node: str
    listen: Address
    hermes: HermesSettings
    specs: Path | None = None
    repo: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    gods: frozenset[str] = frozenset(GODS)
    sign_on: SignOnSettings | None = None

    @property
    def controls(self) -> bool:
        """Whether this host is a controller."""
        return not self.gods <= HANDS

    @property
    def url(self) -> str:
        """Where the page is; a listener on all addresses is reached by the node's own name."""
        scheme = "https" if self.tls_cert else "http"
        host = self.listen.host if self.listen.host not in {"0.0.0.0", "::"} else self.node  # noqa: S104
        return f"{scheme}://{Address(host, self.listen.port)}"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Which Olympus a command talks to, and as whom."""

    server: str
    token: str | None
    ca: Path | None = None


def default_state(environ: Mapping[str, str]) -> Path:
    """`$OLYMPUS_STATE`, else `$XDG_STATE_HOME/olympus`, else `~/.local/state/olympus`."""
    if environ.get("OLYMPUS_STATE"):
        return Path(environ["OLYMPUS_STATE"])
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or "/root") / ".local" / "state")
    return Path(base) / "olympus"


def parse_address(text: str) -> Address:
    """Raises Invalid, saying what an address looks like."""
    match = re.fullmatch(r"(\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})", text)
    if not match or int(match["port"]) > 65535:
        raise Invalid(f"{text!r} is no address: write HOST:PORT, as in {DEFAULT_LISTEN} or [::1]:4280")
    return Address(match["six"] or match["host"] or "0.0.0.0", int(match["port"]))  # noqa: S104


def settings(args: Namespace, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of `olympus up` from its arguments and the environment.

    Raises Invalid where they contradict each other or would be unsafe.
    """
    environ = os.environ if environ is None else environ
    listen = parse_address(args.listen)
    cert, key = _path(args.tls_cert), _path(args.tls_key)
    if (cert is None) != (key is None):
        raise Invalid("--tls-cert and --tls-key go together: give both, or neither")
    if not listen.loopback and cert is None:
        raise Invalid(
            f"--listen {listen} can be reached from other machines, so it needs TLS: "
            "give --tls-cert and --tls-key, or listen on 127.0.0.1"
        )
    return Settings(
        state=(_path(args.state) or default_state(environ)).absolute(),
        node=node_name(args.node),
        listen=listen,
        hermes=hermes_settings(args),
        specs=_path(args.specs),
        repo=args.repo,
        tls_cert=cert,
        tls_key=key,
        gods=_gods(args.gods),
        sign_on=_sign_on(args),
    )


def _sign_on(args: Namespace) -> SignOnSettings | None:
    """Of `--oidc`, `--oidc-client`, `--oidc-secret-file` and `--oidc-groups`."""
    given = (args.oidc, args.oidc_client, args.oidc_secret_file)
    if not any(given):
        return None
    if not all(given):
        raise Invalid("--oidc, --oidc-client and --oidc-secret-file go together: give all three")
    secret = _secret("--oidc-secret-file", Path(args.oidc_secret_file).expanduser())
    return SignOnSettings(args.oidc, args.oidc_client, secret, args.oidc_groups)


def _secret(flag: str, file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise Invalid(f"{flag} {file}: {error.strerror}") from error


def client_settings(args: Namespace, environ: Mapping[str, str] | None = None) -> ClientSettings:
    """By `--server` and `OLYMPUS_SERVER`, `OLYMPUS_TOKEN`; otherwise what `olympus up` left in its state.

    Raises Invalid where nothing tells which server is meant.
    """
    environ = os.environ if environ is None else environ
    server = getattr(args, "server", None) or environ.get("OLYMPUS_SERVER")
    token = environ.get("OLYMPUS_TOKEN")
    file = (_path(getattr(args, "state", None)) or default_state(environ)) / "client.json"
    left = _left_behind(file)
    if server is None and left is None:
        raise Invalid(
            f"no server is known: {file} is not there. Start one with `olympus up`, "
            "or name one with --server or OLYMPUS_SERVER"
        )
    if left is not None:
        # A token goes to the server that it was made for, and to no other.
        if token is None and server in (None, left["server"]):
            token = left["token"]
        server = server or left["server"]
    ca = environ.get("OLYMPUS_CA")
    return ClientSettings(server=str(server).rstrip("/"), token=token, ca=Path(ca) if ca else None)


def _left_behind(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Invalid(f"{file} may not be read by this user: give --server and OLYMPUS_TOKEN") from error
    except ValueError as error:
        raise Invalid(f"{file} is not JSON: {error}") from error
    return content if isinstance(content, dict) and {"server", "token"} <= content.keys() else None


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def node_name(given: str | None) -> str:
    """`given`, else the host's name. Raises Invalid where it cannot name a node."""
    name = given or re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().split(".")[0].lower()).strip("-")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
        raise Invalid(f"{name!r} cannot name a node: use a DNS label (a-z, 0-9 and '-'), with --node NAME")
    return name


def hermes_settings(args: Namespace) -> HermesSettings:
    """Of `--hermes`, `--hermes-token-file` and `--hermes-ca`."""
    where = args.hermes
    token_file, ca = _path(args.hermes_token_file), _path(args.hermes_ca)
    if where == "embedded":
        if token_file or ca:
            raise Invalid("--hermes-token-file and --hermes-ca are for --hermes consul://HOST:PORT")
        return HermesSettings()
    match = re.fullmatch(r"consul(?P<tls>\+tls|s)?://(?P<address>[^/]+)/?", where)
    if not match:
        raise Invalid(f"--hermes {where!r}: write 'embedded' or consul://127.0.0.1:8500")
    token = None
    if token_file:
        token = _secret("--hermes-token-file", token_file)
    return HermesSettings(
        consul=parse_address(match["address"]), tls=bool(match["tls"] or ca), token=token, ca=ca
    )


def _gods(text: str | None) -> frozenset[str]:
    if not text:
        return frozenset(GODS)
    wanted = frozenset(word.strip() for word in text.split(",") if word.strip())
    unknown = sorted(wanted - set(GODS))
    if unknown:
        raise Invalid(f"--gods: {', '.join(unknown)} is not one of {', '.join(GODS)}")
    return wanted
