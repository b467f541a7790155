"""A controller's key, and a node that believes it."""

from __future__ import annotations

from pathlib import Path

from olympus.hephaestus.signer import OrderSigner
from olympus.hermes.kv import Kv
from olympus.hermes.trust import Author, Trust
from olympus.host.signing_ed25519 import PrivateKey
from olympus.records.seals import Seals


def author_of(state: Path, name: str = "n1") -> Author:
    """The controller `name`, with its key in `state`."""
    return Author(name, PrivateKey.load_or_make(state / f"{name}.key"))


async def trust_of(kv: Kv, author: Author | None = None) -> Trust:
    """With `author`'s key published; keys of others are looked up when they are needed."""
    trust = Trust(kv, author=author)
    await trust.begin()
    return trust


async def seals_of(kv: Kv, state: Path, name: str = "n1") -> Seals:
    """Of the controller `name`."""
    author = author_of(state, name)
    return Seals(kv, await trust_of(kv, author), author)


async def signer_of(kv: Kv, state: Path, name: str = "n1") -> OrderSigner:
    """Of the controller `name`."""
    author = author_of(state, name)
    return OrderSigner(await trust_of(kv, author), author)
