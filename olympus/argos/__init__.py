"""Argos has a hundred eyes: it checks hosts, and sees the lines of logs, and remarks those that its patterns ask for.

Consumes the node's desired state. Emits `olympus.argos.check-failed`, `check-recovered`, `check-unknown`, `match`,
`held-back` and `lines-lost`. Owns `nodes/NODE/checks/`, `nodes/NODE/watches/`, `told/NODE/`, and `answers/NODE/`,
where it answers what controllers ask in `asks/NODE/`; and on this host `STATE/argos/`: how far each file was read.
"""
