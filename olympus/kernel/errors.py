"""Errors that say who acts on them. A vendor's exception is chained to one of these at the vendor's edge."""

from __future__ import annotations

from collections.abc import Sequence

from olympus.kernel.diagnostics import Diagnostic


class OlympusError(Exception):
    """The root of all that Olympus raises on purpose; its text is for the operator."""


class Invalid(OlympusError):
    """Somebody's input is wrong: they mend it. `diagnostics` says where, when it came from a file."""

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class NotFound(OlympusError):
    """What was named does not exist."""


class Refused(OlympusError):
    """Who asks may not, or what is asked would break a rule that protects the operator."""


class Conflict(OlympusError):
    """The world is no longer as the asker saw it: read again, then decide anew."""


class RetryLater(OlympusError):
    """A passing fault: the same attempt may go through after `after` seconds."""

    def __init__(self, message: str, after: float = 1.0) -> None:
        super().__init__(message)
        self.after = after


class HermesUnreachable(RetryLater):
    """Consul (or the embedded store) does not answer."""


class Stalled(OlympusError):
    """Nothing changes until an operator changes something; the text says what."""
