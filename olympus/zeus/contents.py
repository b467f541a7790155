"""The contents that services' files need: those of the commit, and templates rendered for each host."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

from olympus.records.desired import BlobRef
from olympus.spec.catalog import Catalog
from olympus.zeus.compile import Contents, render_template, templates
from olympus.zeus.model import Host

Save: TypeAlias = Callable[[bytes], Awaitable[BlobRef]]


async def contents(
    catalog: Catalog,
    files: Mapping[str, BlobRef],
    hosts: Iterable[Host],
    *,
    read: Callable[[str], Awaitable[bytes]],
    save: Save,
) -> Contents:
    """Everything that resolving needs. Raises Invalid where a template can not be rendered for a host."""
    hosts = list(hosts)
    rendered: dict[tuple[str, str, str], BlobRef] = {}
    for service, path in templates(catalog):
        if path not in files:
            continue
        template = await read(path)
        for host in hosts:
            rendered[service, host.name, path] = await save(render_template(template, service, host))
    return Contents(files, rendered)


async def unsaved(content: bytes) -> BlobRef:
    """What names `content` in a plan, which writes nothing."""
    return BlobRef(digest=hashlib.sha256(content).hexdigest(), size=len(content))
