"""Hephaestus runs pipelines: a coordinator (one leader) decides, a worker on each node executes.

consumes  `olympus.hephaestus.run-requested` (who starts a run wrote it), `order-started`, `order-finished`
          (workers), `olympus.chronos.fired`, what a Pipeline's `on` names, `olympus.zeus.node-lost`
emits     `run-started`, `step-finished`, `run-finished`, `overdue`, and what `emit` steps say
owns      `runs/ID` once it is there (the record is the truth), `live-runs/ID` (an index of the others),
          `nodes/NODE/orders/ID` until a worker takes it, `expects/NAME`

orders    what a worker is told and what it answers         starts     how a run comes to be, for everybody
model     a run's state, facts, effects                     core       decide: one run, one fact
graph     which step is next                                targets    which nodes
concurrency, triggers, expects   decisions on groups, on pipelines that events start, on what is overdue
specs_catalog   what is declared, from Hermes
service   the leader at work                                worker…    the hand (Huey), on each node
"""
