"""Which source a LogWatch asks for."""

from __future__ import annotations

from olympus.argos.notices_watchdog import Notices
from olympus.argos.ports import Source
from olympus.argos.source_files import FileSource
from olympus.argos.source_journal import JournalSource
from olympus.argos.source_syslog import SyslogSource
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Stalled
from olympus.spec.kinds.logwatch import Source as SourceSpec


def source_of(spec: SourceSpec, notices: Notices, clock: Clock) -> Source:
    """Raises Stalled where this version of Olympus has no such source."""
    if spec.files is not None:
        return FileSource(spec.files, notices, clock, at_end=spec.from_ == "end")
    if spec.journal is not None:
        return JournalSource(spec.journal.units, clock, at_end=spec.from_ == "end")
    if spec.syslog is not None:
        return SyslogSource(spec.syslog, clock)
    raise Stalled("this version of Olympus reads files, the journal and syslog: its source is none of them")
