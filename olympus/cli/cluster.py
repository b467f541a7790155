"""`olympus init --cluster DIR`: what a cluster's operator needs of Consul: settings, policies, and what to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from olympus.config import node_name
from olympus.hermes.policies_consul import controller_policy, node_policy
from olympus.kernel.errors import Invalid

TEMPLATE: Final = "NAME"
"""Stands for a host where none was named: no host can bear it."""

_SETTINGS: Final = """\
# Consul's agent on {name}: /etc/consul.d/consul.hcl, mode 0640, owned by the user it runs as.
# Policies grant sessions by this name: `olympus up --node {name}`.
node_name  = "{name}"
datacenter = "dc1"
data_dir   = "/var/lib/consul"
bind_addr  = "{{{{ GetPrivateIP }}}}"
retry_join = [{join}]
{role}
# consul keygen, the same everywhere
encrypt = "{gossip}"

acl {{
  enabled                  = true
  default_policy           = "deny"
  down_policy              = "extend-cache"
  enable_token_persistence = true{token}
}}

tls {{
  defaults {{
    ca_file         = "/etc/consul.d/consul-agent-ca.pem"
    verify_outgoing = true
  }}
  internal_rpc {{
    verify_server_hostname = true{certificate}
  }}
}}

# Only this host may ask, and nothing that is registered makes Consul run a program.
client_addr                = "127.0.0.1"
enable_script_checks       = false
enable_local_script_checks = false
disable_remote_exec        = true
disable_update_check       = true

# Olympus holds some twenty questions open; those of one that was killed count for up to a minute.
limits {{
  http_max_conns_per_client = 1000
}}
"""

_SERVER: Final = """\
server           = true
bootstrap_expect = {servers}
performance {{
  raft_multiplier = 1
}}
auto_encrypt {{
  allow_tls = true
}}
"""

_CERTIFICATE: Final = """
    verify_incoming        = true
    cert_file              = "/etc/consul.d/dc1-server-consul.pem"
    key_file               = "/etc/consul.d/dc1-server-consul-key.pem\""""

_CLIENT: Final = """\
server = false
# Its certificate comes from the servers.
auto_encrypt {
  tls = true
}
"""

_TOKEN: Final = """
  tokens {
    # Its certificate is signed for who holds it: consul acl token create -node-identity NAME:dc1
    agent = "AGENT-TOKEN"
  }"""

GOSSIP: Final = "GOSSIP-KEY"

_README: Final = """\
# A cluster of Olympus

Controllers ({controllers}) lead, take pushes and answer people; Consul's servers run beside them, so have three
or five. Nodes ({nodes}) run services and steps: they write what is their own in Consul and nothing else, and obey
only what a controller signed. What is on a node that somebody takes over cannot speak for any other host.

| file | what |
|---|---|
| `consul/server-NAME.hcl`, `consul/client-NAME.hcl` | Consul on NAME: TLS, gossip encrypted, deny by default |
| `policies/controller-NAME.hcl`, `policies/node-NAME.hcl` | what Olympus on NAME may do in Consul |

Another host later: `olympus init --cluster DIR --node NAME` adds its files and changes no other.

## Once, where this folder is

    sed -i "s|{gossip}|$(consul keygen)|" consul/*.hcl       # adjust retry_join where names do not resolve
    consul tls ca create                                     # keep consul-agent-ca-key.pem off the hosts
    consul tls cert create -server -dc dc1                   # for each server: -0.pem, -1.pem, …

## Consul's servers, on the controllers

1. `consul/server-NAME.hcl` → `/etc/consul.d/consul.hcl`, and `consul-agent-ca.pem` beside it; the server's certificate
   and key there as `dc1-server-consul.pem` and `dc1-server-consul-key.pem`.
2. Start Consul: `consul agent -config-dir /etc/consul.d`.
3. When all run, once: `consul acl bootstrap`. Its SecretID is the management token: `export CONSUL_HTTP_TOKEN=…`
   for what follows, and keep it offline afterwards.

## Two tokens for each host

A token is a secret: it goes to its host, and nowhere else.

    # Consul's: servers take it by `consul acl set-agent-token agent SECRETID`, clients in their settings.
    consul acl token create -description "consul NAME" -node-identity NAME:dc1
    # Olympus's: on NAME into /etc/olympus/consul.token, mode 0600.
    consul acl policy create -name olympus-NAME -rules @policies/controller-NAME.hcl     # or node-NAME.hcl
    consul acl token create -description "olympus NAME" -policy-name olympus-NAME

## Consul's clients, on the nodes

`consul/client-NAME.hcl` → `/etc/consul.d/consul.hcl`, with its token; `consul-agent-ca.pem` beside it. Start Consul.

## Olympus

    HERMES="--hermes consul://127.0.0.1:8500 --hermes-token-file /etc/olympus/consul.token"
    olympus up --node NAME $HERMES                           # controllers
    olympus up --node NAME $HERMES --gods steward,worker,argos     # nodes
    olympus doctor --node NAME $HERMES                       # on each: is all this in force?

A controller makes its key at its first start (`STATE/controller.key`, 0600) and publishes the public half in Consul,
where only controllers may write. To trust nobody's writing in Consul either, pin them: put the lines of all
controllers' `STATE/controller.pub` into `STATE/controllers.pub` on every host (mode 0644), and restart Olympus
(services and steps go on).

Revoke a controller: stop it, delete its token, `consul kv delete olympus/trust/controllers/NAME`; where keys are
pinned, remove its line. What it told nodes is signed anew by the next leader.
"""


def write(folder: Path, controllers: Sequence[str], nodes: Sequence[str]) -> list[Path]:
    """The files that were not there yet: none is ever written over. Raises Invalid for no name of a node."""
    written = []
    for name, content in files(controllers, nodes).items():
        file = folder / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
            written.append(file)
    return written


def files(controllers: Sequence[str], nodes: Sequence[str]) -> Mapping[str, str]:
    """Path → content. Without names: templates, with NAME for the host's."""
    for name in (*controllers, *nodes):
        node_name(name)
    both = sorted(set(controllers) & set(nodes))
    if both:
        raise Invalid(f"{', '.join(both)}: a controller is a node already, name it once")
    if not controllers and not nodes:
        controllers = nodes = (TEMPLATE,)
    out = {"README.md": _readme(controllers, nodes)}
    for name in controllers:
        out[f"policies/controller-{name}.hcl"] = controller_policy(name)
        out[f"consul/server-{name}.hcl"] = _agent(name, controllers, server=True)
    for name in nodes:
        out[f"policies/node-{name}.hcl"] = node_policy(name)
        out[f"consul/client-{name}.hcl"] = _agent(name, controllers, server=False)
    return out


def _agent(name: str, servers: Sequence[str], *, server: bool) -> str:
    join = ", ".join(f'"{one}"' for one in servers if one != TEMPLATE) or '"SERVER"'
    return _SETTINGS.format(
        name=name,
        join=join,
        gossip=GOSSIP,
        role=_SERVER.format(servers=3 if TEMPLATE in servers else len(servers)) if server else _CLIENT,
        certificate=_CERTIFICATE if server else "",
        token="" if server else _TOKEN.replace("NAME", name),
    )


def _readme(controllers: Sequence[str], nodes: Sequence[str]) -> str:
    return _README.format(
        controllers=", ".join(controllers) or "none named",
        nodes=", ".join(nodes) or "none named",
        gossip=GOSSIP,
    )
