"""The steward: Zeus's hand on each node. It makes the node what `nodes/NODE/desired` says, and keeps it so.

consumes  `nodes/NODE/desired`, where a controller signed it and it is not older than what was taken
emits     `olympus.zeus.service-failed`, `service-recovered`, `service-crashlooping`, `healed`, `desired-refused`
owns      `instances/NODE/SERVICE`, written when something changed, in the transaction of its events;
          `nodes/NODE/refusal`

model, core   one service's life, decided purely        service      the node's services, performed
unit_process  processes of our own                      unit_systemd units that systemd runs
checks        http, tcp, command                        files        what a service needs on disk
output        what services write, rotated without losing a line
news          what is told of them, when Hermes is there
"""
