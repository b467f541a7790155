"""What this machine has: filesystems and addresses, from the kernel."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from ipaddress import IPv6Address, ip_interface
from pathlib import Path
from typing import Any, Final

_SIOCGIFADDR: Final = 0x8915
_SIOCGIFNETMASK: Final = 0x891B
_LINK_LOCAL: Final = "fe80:"


def disks(mounts: Path = Path("/proc/self/mounts")) -> list[dict[str, Any]]:
    """`{path, device, type, bytes}` of what lies on block devices, each device once, by path."""
    found: dict[str, dict[str, Any]] = {}
    for line in mounts.read_text(errors="replace").splitlines():
        device, path, kind, *_ = line.split(" ")
        # The kernel writes a space in a path as \\040.
        path = path.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
        if not device.startswith("/dev/") or device in found or kind in ("squashfs", "iso9660"):
            continue
        try:
            size = os.statvfs(path)
        except OSError:
            continue
        found[device] = {"path": path, "device": device, "type": kind, "bytes": size.f_frsize * size.f_blocks}
    return sorted(found.values(), key=lambda one: str(one["path"]))


def addresses() -> dict[str, list[str]]:
    """Interface → its addresses with the length of their networks; neither loopback's nor link-local ones."""
    found: dict[str, list[str]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            asked = struct.pack("256s", name.encode()[:15])
            try:
                address, mask = (
                    socket.inet_ntoa(fcntl.ioctl(sock, number, asked)[20:24])
                    for number in (_SIOCGIFADDR, _SIOCGIFNETMASK)
                )
            except OSError:
                continue
            found.setdefault(name, []).append(str(ip_interface(f"{address}/{mask}")))
    for name, address in _of_version_6():
        found.setdefault(name, []).append(address)
    found.pop("lo", None)
    return found


def _of_version_6(file: Path = Path("/proc/net/if_inet6")) -> list[tuple[str, str]]:
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return []
    words = [line.split() for line in lines]
    listed = [(one[5], f"{IPv6Address(bytes.fromhex(one[0]))}/{int(one[2], 16)}") for one in words]
    return [(name, address) for name, address in listed if not address.startswith(_LINK_LOCAL)]
