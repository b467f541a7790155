"""What can't be read is said, with what to do: the rest needs a journal (tests/cluster/test_journal.py)."""

from __future__ import annotations

import pytest

from olympus.argos.source_journal import JournalSource
from olympus.host import piped
from olympus.host.process import find_program
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import RetryLater, Stalled


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The only folder in which programs are found."""
    monkeypatch.setattr(piped, "find_program", lambda name: find_program(name, str(tmp_path)))
    return tmp_path


async def first_batch():
    return await anext(JournalSource(["sshd"], SystemClock(), at_end=True).batches(None))


async def test_a_host_without_journalctl_says_so(programs):
    with pytest.raises(Stalled, match=r"journalctl.*: install systemd's journalctl, or watch files instead"):
        await first_batch()


async def test_what_journalctl_complains_of_is_said(programs):
    program = programs / "journalctl"
    program.write_text(
        "#!/bin/sh\necho 'No journal files were opened due to insufficient permissions.' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    with pytest.raises(RetryLater, match="journalctl ended with 1: No journal files were opened"):
        await first_batch()
