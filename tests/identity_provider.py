"""A small, real provider of OpenID Connect: it holds clients to the code flow with PKCE, and lies where told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "olympus", "s3cret:of/us"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class IdentityProvider:
    """Everybody who asks is logged in as `person`. lies: claims that the token has instead of the right ones."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.person = {"sub": "42", "preferred_username": "ann", "groups": ["shop"]}
        self.lies: dict = {}
        self.signs_with = self.key
        self.algorithm = "RS256"
        self.says_issuer: str | None = None
        self.codes: dict[str, dict] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def about(self):
        return {
            "issuer": self.says_issuer or self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def authorize(self, asked):
        """Where the browser is sent back to."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def token(self, form, authorization):
        """Status and answer. A code counts once."""
        asked = self.codes.pop(form.get("code", ""), None)
        who = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        if [unquote(one) for one in who] != [CLIENT, SECRET]:
            return 401, {"error": "invalid_client"}
        hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = _base64(hashed)
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= self.person | self.lies
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm in ("none", "HS256"):
            return 200, {"id_token": self._forged(claims), "access_token": "x", "token_type": "Bearer"}
        signed = jwt.encode({"alg": self.algorithm, "kid": "one"}, claims, self.signs_with)
        return 200, {"id_token": signed, "access_token": "x", "token_type": "Bearer"}

    def _forged(self, claims):
        """What no library signs: without a signature, or keyed with the public key."""
        head = {"alg": self.algorithm, "kid": "one"}
        text = ".".join(_base64(json.dumps(one).encode()) for one in (head, claims))
        if self.algorithm == "none":
            return f"{text}."
        return f"{text}.{_base64(hmac.digest(self.key.as_pem(private=False), text.encode(), 'sha256'))}"

    def _handler(provider):  # noqa: N805 - the handler's self is another
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, body, **headers):
                raw = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_GET(self):
                parts = urlsplit(self.path)
                if parts.path == "/.well-known/openid-configuration":
                    self.answer(200, provider.about())
                elif parts.path == "/keys":
                    self.answer(200, {"keys": [provider.key.as_dict(private=False)]})
                else:
                    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                    self.answer(302, {}, Location=provider.authorize(asked))

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(raw).items()}
                self.answer(*provider.token(form, self.headers.get("Authorization", "")))

        return Handler
