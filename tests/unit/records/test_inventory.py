"""Assets are found by their names, and by the addresses that they have."""

from __future__ import annotations

import pytest

from olympus.records.inventory import asset_of
from olympus.spec.catalog import Catalog, resource_of


def asset(name, **fields):
    spec = {"type": "network", "fields": fields}
    return resource_of(
        {"apiVersion": "olympus/v1", "kind": "Asset", "metadata": {"name": name}, "spec": spec}
    )


CATALOG = Catalog(
    [
        asset("office", addresses=["192.0.2.0/24", "2001:db8::/32"]),
        asset("printer", addresses="192.0.2.9"),
        asset("odd", addresses=[7, None, "no address", {"a": 1}]),
        asset("bare"),
    ]
)


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("office", "office"),
        ("bare", "bare"),
        ("192.0.2.77", "office"),
        ("192.0.2.9", "printer"),
        ("2001:0db8:0000::1", "office"),
        ("203.0.113.7", None),
        ("0.0.0.7", None),
        ("nobody", None),
        ("192.0.2.9; rm -rf /", None),
    ],
)
def test_an_address_belongs_to_the_narrowest_network_that_has_it(what, found):
    asset = asset_of(CATALOG, what)
    assert (asset.name if asset else None) == found
