"""Orders, signed by the coordinator's host and checked on the node that carries them out."""

from __future__ import annotations

from olympus.hephaestus.orders import Order
from olympus.hermes.trust import Author, Trust
from olympus.kernel.errors import Refused


class OrderSigner:
    """A `Signer`. `author`: None on a host that is no controller, and only checks."""

    def __init__(self, trust: Trust, author: Author | None = None) -> None:
        self._trust = trust
        self._author = author

    def sign(self, order: Order) -> Order:
        """Raises Refused on a host that is no controller."""
        if self._author is None:
            raise Refused("this host is no controller: it can sign nothing")
        # Signed is what the node will read, whatever types it was made of.
        said = Order.from_bytes(order.to_bytes()).canonical()
        return order.model_copy(update={"signature": self._author.sign("order", said)})

    async def objection(self, order: Order) -> str | None:
        return await self._trust.objection("order", order.canonical(), order.signature)
