"""Which asset of the inventory a name or an address means."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from olympus.spec.catalog import Catalog, Resource
from olympus.spec.kinds import AssetSpec

_Network: TypeAlias = IPv4Network | IPv6Network


def asset_of(catalog: Catalog, what: str) -> Resource | None:
    """The Asset of that name; of an address the one whose `fields.addresses` have it, the narrowest network first."""
    named = catalog.get("Asset", what)
    if named is not None:
        return named
    try:
        address = ip_address(what)
    except ValueError:
        return None
    found = [
        (network.prefixlen, asset)
        for asset in catalog.all("Asset")
        for network in _networks(asset)
        if address in network
    ]
    return max(found, key=lambda one: one[0], default=(0, None))[1]


def _networks(asset: Resource) -> Iterator[_Network]:
    """Fields are free: what is no address says nothing about any."""
    spec = asset.spec
    listed = spec.fields.get("addresses") if isinstance(spec, AssetSpec) else None
    for one in listed if isinstance(listed, list) else [listed]:
        try:
            yield ip_network(str(one), strict=False)
        except ValueError:
            continue
