"""Ed25519 signatures (RFC 8032), with the private key in a file of this machine.

With certificates.py the home of `cryptography`.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from olympus.host.private_file import read_private, write_private
from olympus.kernel.errors import Invalid


class PublicKey:
    """`text` is base64 of its 32 bytes. Raises Invalid where it is not."""

    def __init__(self, text: str) -> None:
        try:
            self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
        except (ValueError, binascii.Error) as exc:
            raise Invalid(f"{text[:80]!r} is no Ed25519 public key: 32 bytes in base64") from exc
        self.text = text

    def signed(self, message: bytes, signature: str) -> bool:
        """Whether `signature` (base64) is that of `message` by this key's owner. About 0.15 ms."""
        try:
            self._key.verify(base64.b64decode(signature, validate=True), message)
        except (InvalidSignature, ValueError, binascii.Error):
            return False
        return True


class PrivateKey:
    """Of whoever can read its file, so that nobody else may."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(base64.b64encode(key.public_key().public_bytes_raw()).decode())

    @classmethod
    def load_or_make(cls, file: Path) -> Self:
        """From `file` (PEM, 0600), which is made where it is not there.

        Raises Refused where others than its owner may read it, Invalid where it holds no Ed25519 key.
        """
        try:
            raw = read_private(file)
        except FileNotFoundError:
            made = Ed25519PrivateKey.generate()
            write_private(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            return cls(made)
        try:
            key = load_pem_private_key(raw, password=None)
        except (ValueError, TypeError) as exc:
            raise Invalid(f"{file} is no private key: {exc}. Without it a new one is made") from exc
        if not isinstance(key, Ed25519PrivateKey):
            raise Invalid(f"{file} is no Ed25519 key. Without it a new one is made")
        return cls(key)

    def sign(self, message: bytes) -> str:
        """The signature, in base64: the same message always gets the same. About 0.05 ms."""
        return base64.b64encode(self._key.sign(message)).decode()
