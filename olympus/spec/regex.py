"""Regular expressions in linear time, whatever the text: RE2 (github.com/google/re2). The only home of google-re2."""

from __future__ import annotations

from functools import lru_cache

import re2


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re2._Regexp:
    """Raises ValueError, with the reason: RE2 has no look-around and no back-references."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        if any(one in pattern for one in ("(?=", "(?!", "(?<=", "(?<!")):
            reason += ": there is no look-around, so that every pattern takes linear time"
        shown = pattern if len(pattern) <= 80 else pattern[:77] + "…"
        raise ValueError(f"pattern '{shown}': {reason[:200]}") from error


def group_names(pattern: str) -> frozenset[str]:
    """The names of its named groups."""
    return frozenset(compile_pattern(pattern).groupindex)


def search(pattern: str, text: str) -> bool:
    """Whether `pattern` is found anywhere in `text`."""
    return compile_pattern(pattern).search(text) is not None
