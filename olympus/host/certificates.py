"""When X.509 certificates (RFC 5280) end: of a PEM file, or of whom a server says that it is.

With signing_ed25519.py the home of `cryptography`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from olympus.host.probes import NotInTime, in_time
from olympus.kernel.errors import Invalid

_MAX_FILE: Final = 1024 * 1024


async def end_of_file(path: Path, timeout: float) -> datetime:
    """When the first of the file's certificates ends: a chain holds no longer than its shortest part.

    Raises Invalid where there is none in it, NotInTime, OSError.
    """
    return await in_time(lambda: _first_end(path), timeout)


def _first_end(path: Path) -> datetime:
    # Not following what is no plain file: a pipe would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        raw = file.read(_MAX_FILE + 1) or b""
    if len(raw) > _MAX_FILE:
        raise Invalid(f"{path} is over {_MAX_FILE} bytes: it is no file of certificates")
    try:
        found = x509.load_pem_x509_certificates(raw)
    except (ValueError, x509.InvalidVersion) as error:
        raise Invalid(f"{path} holds no certificate in PEM: {error}") from error
    return min(one.not_valid_after_utc for one in found)


async def end_of_server(address: str, timeout: float) -> datetime:
    """When the certificate that `host:port` shows ends; whether it is trusted is not asked.

    Raises Invalid where it shows none that can be read, NotInTime, OSError.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    context = ssl.create_default_context()
    # It is looked at, not believed: what has ended, or is signed by itself, must be seen as well.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=host)
    except TimeoutError as error:
        raise NotInTime(f"{address} showed no certificate within {timeout:g} s") from error
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    try:
        return x509.load_der_x509_certificate(shown or b"").not_valid_after_utc
    except (ValueError, x509.InvalidVersion) as error:
        raise Invalid(f"{address} shows no certificate that can be read: {error}") from error
