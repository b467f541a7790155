"""Argos has a hundred eyes: it checks hosts, and sees the lines of logs, and remarks those that its patterns ask for.

Consumes the node's desired state. Emits `olympus.argos.check-failed`, `check-recovered` and `check-unknown`. Owns
`nodes/NODE/checks/`.
"""
