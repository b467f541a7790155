"""Chronos does things in time; whether they succeed is for others to supervise.

consumes  the catalog's Schedule and Window specs, `olympus.hephaestus.run-started` and `run-finished`
emits     `olympus.chronos.fired`, `olympus.chronos.skipped`
owns      `schedules/NAME`: the last slot that was dealt with, compare-and-set in the event's transaction,
          so that a slot fires once, also over a restart or with a second Chronos
"""
