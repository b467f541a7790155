"""What operators write: the kinds, read from YAML with positions, validated, compiled into a catalog.

loader → parse → kinds → validate → catalog; expressions, templates, selectors, cron and durations beside them.
"""
