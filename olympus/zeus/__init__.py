"""Zeus keeps the cluster as its operators declared it in git.

    git push ─▶ hook_script ─▶ push_socket ─▶ source ─ validation ─▶ offer ─▶ controller ─▶ nodes/*/desired ─▶ steward
                                               repo_git                        compile, plan, placement, rollout

repo_git, hooks, hook_script, hook_validate, push, push_socket, smart_http: the repository and who talks to it
source:      pushes, a remote, rollbacks: commits become validated catalogs, offered to the controller
controller:  one leader; turns catalog, hosts and orders into what each node should be
api:         what people ask: plan, sync, rollback
steward:     on every node; makes it so

consumes: offers of catalogs, members of the registry, operators' intents, instances as stewards tell them
emits:    olympus.zeus.applied, refused, node-joined, node-lost (the controller);
          service-…, healed, desired-refused (stewards)
owns:     `catalog`, `zeus/*`, `nodes/*/desired` (controller), `offer` (source), `instances/NODE/*` (steward)
"""
