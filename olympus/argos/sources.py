"""Which source a LogWatch asks for."""

from __future__ import annotations

from pathlib import Path

from olympus.argos.notices_watchdog import Notices
from olympus.argos.ports import Source
from olympus.argos.source_files import FileSource
from olympus.argos.source_journal import JournalSource
from olympus.argos.source_service import ServiceSource
from olympus.argos.source_syslog import SyslogSource
from olympus.kernel.clock import Clock
from olympus.spec.kinds.logwatch import Source as SourceSpec


def source_of(spec: SourceSpec, notices: Notices, clock: Clock, services: Path) -> Source:
    """services: the folder in which each service has one, with its output."""
    at_end = spec.from_ == "end"
    if spec.files is not None:
        return FileSource(spec.files, notices, clock, at_end=at_end, encoding=spec.encoding)
    if spec.journal is not None:
        return JournalSource(spec.journal.units, clock, at_end=at_end)
    if spec.syslog is not None:
        return SyslogSource(spec.syslog, clock)
    service = spec.service or ""
    return ServiceSource(service, services / service, notices, at_end=at_end)
