"""What this machine has, beside what its own tools say."""

from __future__ import annotations

import socket
import subprocess

from olympus.host.hardware import addresses, disks


def test_disks_are_block_devices_each_once_with_their_size(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /again ext4 rw 0 0\n"
        f"/dev/loop0 /snap squashfs ro 0 0\n/dev/gone /nowhere ext4 rw 0 0\n/dev/sdb1 {tmp_path}/a\\040b xfs rw 0 0\n"
    )
    (tmp_path / "a b").mkdir()
    found = disks(mounts)
    assert [(one["path"], one["device"], one["type"]) for one in found] == [
        ("/", "/dev/sda1", "ext4"),
        (f"{tmp_path}/a b", "/dev/sdb1", "xfs"),
    ]
    blocks = subprocess.run(["df", "-B1", "--output=size", "/"], capture_output=True, text=True, check=True)
    assert found[0]["bytes"] == int(blocks.stdout.split()[1])


def test_addresses_are_ours_and_not_loopbacks():
    found = addresses()
    assert "lo" not in found
    for listed in found.values():
        for one in listed:
            address = one.partition("/")[0]
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                # Only an address of this machine can be bound.
                sock.bind((address, 0))
