"""Secrets are never shown: each is replaced wherever it stands, also encoded, also across two writes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
_SHORTEST: Final = 3


class Masker:
    """Knows the secrets of one step. What is shorter than three characters can't be told from other text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: a form may hold another one.
        self._forms = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)
        self._bytes = [form.encode() for form in self._forms]
        self.longest = max((len(form) for form in self._bytes), default=0)

    def __bool__(self) -> bool:
        return bool(self._forms)

    def text(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def data(self, data: bytes) -> bytes:
        for form in self._bytes:
            data = data.replace(form, MASK.encode())
        return data

    def json(self, value: Any) -> Any:
        """Every text in a JSON tree, keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.json(one) for one in value]
        return value


class MaskedCopy:
    """Masks a stream piece by piece: what could be the beginning of a secret waits for the next piece."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        whole = self._masker.data(self._held + data)
        keep = max(0, self._masker.longest - 1)
        cut = len(whole) - keep if keep else len(whole)
        # A line's end is never within what we mask, unless the secret has lines itself.
        self._held, out = whole[max(0, cut) :], whole[: max(0, cut)]
        return out

    def end(self) -> bytes:
        held, self._held = self._masker.data(self._held), b""
        return held


def _forms(secret: str) -> Iterable[str]:
    if not secret:
        return
    raw = secret.encode()
    yield secret
    # A secret file ends with a line's end more often than a secret does; each line of a key is one too.
    yield from (line.strip() for line in secret.splitlines() if len(line.strip()) >= 8)
    for shift in range(3):
        # Within a longer text base64 has three forms; what depends on the neighbours is left out.
        coded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        inner = coded[(0, 2, 3)[shift] : -1 if len(raw) > 6 else None]
        if len(inner) >= 8:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield raw.hex()
