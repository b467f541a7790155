"""Two LogWatches can not listen to one address on the same nodes."""

from __future__ import annotations

import pytest

from olympus.spec.tree import DirectoryTree
from olympus.spec.validate import validate_tree


def watch(name, address, selector):
    return (
        f"apiVersion: olympus/v1\nkind: LogWatch\nmetadata: {{name: {name}}}\nspec:\n"
        f"  nodes: {{selector: '{selector}'}}\n"
        f"  source: {{syslog: {{listen: '{address}'}}}}\n  match: [{{name: a, pattern: b}}]\n---\n"
    )


@pytest.mark.parametrize(
    ("address", "selector", "refused"),
    [
        ("udp://0.0.0.0:5514", "", True),
        ("tcp://0.0.0.0:5514", "", False),
        # Which nodes have a label is not known before they are there.
        ("udp://0.0.0.0:5514", "role=web", False),
    ],
)
def test_one_address_is_for_one_watch(tmp_path, address, selector, refused):
    (tmp_path / "a.yaml").write_text(watch("b", address, selector) + watch("a", "udp://0.0.0.0:5514", ""))
    found = [str(one) for one in validate_tree(DirectoryTree(tmp_path)).diagnostics]
    said = "a.yaml:6:29: LogWatch 'a' listens there: put its matches into one LogWatch"
    assert found == ([said] if refused else [])
