"""Zeus keeps the cluster as its operators declared it in git.

source:      pushes and remote repositories become catalogs, validated, and offered to the controller
controller:  one leader; compiles the catalog for the nodes that are there, and writes what each should be
steward:     on every node; makes it so

consumes: offers of catalogs, members of the registry, operators' intents, instances as stewards tell them
emits:    olympus.zeus.applied, refused, node-joined, node-lost (the controller); service-…, healed (stewards)
owns:     `catalog`, `offer`, `zeus`, `nodes/*/desired` (controller), `nodes/NODE/instances/*` (steward)
"""
