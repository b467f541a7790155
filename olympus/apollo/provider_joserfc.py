"""Single sign-on: a provider of OpenID Connect (Core 1.0, authorization code flow with PKCE, RFC 7636).

What it says of people is believed only where its own keys signed it, for us, just now, and for the login under way.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from olympus.host.http_aiohttp import HttpClient, HttpFailed
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Invalid, Refused, RetryLater

_ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
"""Never `none`, and none of those that a public key could be a secret of."""

_KNOWN_FOR: Final = 3600.0
_LEEWAY: Final = 60
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows us as. groups: the claim that lists them."""

    issuer: str
    id: str
    secret: str
    groups: str = "groups"

    def check(self) -> None:
        """Raises Invalid where others could read along."""
        parts = urlsplit(self.issuer)
        local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise Invalid(f"--oidc {self.issuer!r}: an issuer is an https URL")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login under way; the browser keeps it in a cookie, and nobody else has it."""

    state: str
    nonce: str
    verifier: str

    @staticmethod
    def new() -> Attempt:
        return Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))

    @staticmethod
    def of_cookie(text: str) -> Attempt | None:
        parts = text.split(".")
        return Attempt(*parts) if len(parts) == 3 and all(parts) else None

    def to_cookie(self) -> str:
        return ".".join((self.state, self.nonce, self.verifier))


@dataclass(frozen=True, slots=True)
class Person:
    """subject: what the provider never gives to anybody else."""

    subject: str
    name: str
    groups: tuple[str, ...]


class Provider:
    def __init__(self, client: Client, http: HttpClient, clock: Clock) -> None:
        self._client = client
        self._http = http
        self._clock = clock
        self._about: tuple[float, dict[str, Any]] | None = None

    async def asks_at(self, attempt: Attempt, back: str) -> str:
        """The URL at which people log in; they come back to `back`. Raises RetryLater, Refused."""
        about = await self._known()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=")
        asked = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": back,
            "scope": "openid profile email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in about["authorization_endpoint"] else "?"
        return f"{about['authorization_endpoint']}{joint}{urlencode(asked)}"

    async def person(self, attempt: Attempt, said: Mapping[str, str], back: str) -> Person:
        """Who came back with `said` in the query. Raises Refused, RetryLater."""
        if not secrets.compare_digest(said.get("state", "").encode(), attempt.state.encode()):
            raise Refused("this login was not begun in this browser, or is an old one")
        # RFC 9207: an answer of another provider is not for us.
        if said.get("iss", self._client.issuer) != self._client.issuer:
            raise Refused("another provider answered than the one that was asked")
        if "code" not in said:
            raise Refused(f"the provider let nobody in: {said.get('error', 'it gave no code')[:_LONGEST]}")
        about = await self._known()
        form = {
            "grant_type": "authorization_code",
            "code": said["code"],
            "redirect_uri": back,
            "code_verifier": attempt.verifier,
        }
        who = f"{quote(self._client.id, safe='')}:{quote(self._client.secret, safe='')}"
        headers = {
            "Authorization": f"Basic {base64.b64encode(who.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        answer = await self._json("POST", about["token_endpoint"], headers, urlencode(form).encode())
        claims = await self._claims(str(answer.get("id_token", "")), about)
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise Refused("the provider's token is of another login")
        return _person(claims, self._client.groups)

    async def _claims(self, token: str, about: Mapping[str, Any]) -> dict[str, Any]:
        found = await self._json("GET", about["jwks_uri"], {}, None)
        try:
            keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
            claims = dict(jwt.decode(token, keys, algorithms=_ALGORITHMS).claims)
            jwt.JWTClaimsRegistry(
                now=int(self._clock.now().timestamp()),
                leeway=_LEEWAY,
                iss={"essential": True, "value": self._client.issuer},
                aud={"essential": True, "value": self._client.id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Refused(f"the provider's token does not count: {error}") from error
        if isinstance(claims["aud"], list) and claims.get("azp", self._client.id) != self._client.id:
            raise Refused("the provider's token is for another program")
        return claims

    async def _known(self) -> dict[str, Any]:
        """What the provider says of itself, once an hour."""
        now = self._clock.monotonic()
        if self._about is None or now - self._about[0] > _KNOWN_FOR:
            place = f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = await self._json("GET", place, {}, None)
            if found.get("issuer") != self._client.issuer:
                raise Refused(f"{place} is of another issuer: {found.get('issuer')!r}")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                Client(str(found.get(name, "")), "", "").check()
            self._about = (now, found)
        return self._about[1]

    async def _json(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, url, headers=headers, body=body, redirects=False)
        except HttpFailed as error:
            raise RetryLater(f"the provider of single sign-on does not answer: {error}") from error
        try:
            found = orjson.loads(answer.body)
        except ValueError:
            found = None
        if answer.status != 200 or not isinstance(found, dict):
            why = found.get("error") if isinstance(found, dict) else None
            raise Refused(
                f"the provider of single sign-on answers {answer.status}{f': {why}' if why else ''}"
            )
        return found


def _person(claims: Mapping[str, Any], groups_claim: str) -> Person:
    name = claims.get("preferred_username") or (claims.get("email") if claims.get("email_verified") else None)
    text = name if isinstance(name, str) and name.isprintable() else str(claims["sub"])
    listed = claims.get(groups_claim)
    groups = tuple(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else ()
    return Person(str(claims["sub"]), text[:_LONGEST], groups)
