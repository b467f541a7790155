"""What browsers load: little, from here alone, and of others' work exactly what was published."""

from __future__ import annotations

import gzip
import hashlib
import json
import re

from olympus.kernel.resources import shipped

WEB = shipped("web")
STATIC = {file.name: file.read_bytes() for file in (WEB / "static").iterdir()}


def test_others_work_is_byte_for_byte_what_the_manifest_says():
    manifest = json.loads((WEB / "vendored.json").read_text())
    assert set(manifest) == {name for name in STATIC if ".min." in name}
    for name, known in manifest.items():
        assert hashlib.sha256(STATIC[name]).hexdigest() == known["sha256"], name
        assert f"{name.split('-')[0]}-LICENSE.txt" in STATIC


def test_scripts_and_styles_weigh_at_most_60_kb_packed():
    packed = {n: len(gzip.compress(raw, 9)) for n, raw in STATIC.items() if n.endswith((".js", ".css"))}
    assert sum(packed.values()) <= 60_000, packed


def test_pages_load_what_is_there_and_nothing_of_another_host():
    pages = "".join(file.read_text() for file in (WEB / "templates").iterdir())
    for name in re.findall(r'/static/([\w.-]+)"', pages):
        assert name in STATIC
    assert not re.search(r'(?:src|href)="(?:https?:)?//', pages)
    # The policy of the pages would refuse these anyway.
    assert not re.search(r"\son[a-z]+=|\sstyle=|<script(?![^>]*nonce)", pages)
