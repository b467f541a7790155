"""Athena decides: what happened, whether it matters, what mends it, and whether that helped.

consumes  every event; how runs end; what Argos, Zeus, Hephaestus and others answer
emits     `olympus.athena.incident-opened`, `decided`, `resolved`, `escalated`
owns      `athena/…`, its cursor

rules     a Rule, compiled          index      which rules an event may concern
correlate, scan, windows, open_windows   what of correlated events has come, and when it is enough
engine    all rules against one stream of events: pure, driven alike by the service and by rehearsals
core      what follows for one incident; draft, verifying: its parts
rule_tests, rehearsal, replies      RuleTests on a virtual clock; expected, coverage, reasons: what they come to
replay, past, recorded, hindsight   what happened, held against other rules; differences: what it comes to
explain   what became of one event
standing, budgets                   silences, suspensions, limits
"""
