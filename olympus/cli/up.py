"""`olympus up`: run Olympus on this host."""

from __future__ import annotations

import argparse
import asyncio

from olympus import config, logs


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("up", help="run Olympus on this host")
    parser.add_argument(
        "--state", metavar="DIR", help="what has to outlive a restart (default: see olympus --help)"
    )
    parser.add_argument("--specs", metavar="DIR", help="files that a new specs repository begins with")
    parser.add_argument("--listen", metavar="HOST:PORT", default=config.DEFAULT_LISTEN)
    parser.add_argument(
        "--hermes", metavar="WHERE", default="embedded", help="embedded, or consul://HOST:PORT"
    )
    parser.add_argument("--hermes-token-file", metavar="FILE", help="Consul's token")
    parser.add_argument("--hermes-ca", metavar="FILE", help="the certificate authority of Consul's agent")
    parser.add_argument("--tls-cert", metavar="FILE")
    parser.add_argument("--tls-key", metavar="FILE")
    parser.add_argument(
        "--repo", metavar="URL", help="take specs from this git repository, not from pushes here"
    )
    parser.add_argument("--oidc", metavar="ISSUER", help="single sign-on by this provider of OpenID Connect")
    parser.add_argument("--oidc-client", metavar="ID", help="what it knows Olympus as")
    parser.add_argument("--oidc-secret-file", metavar="F", help="where the secret of that is")
    parser.add_argument(
        "--oidc-groups", metavar="CLAIM", default="groups", help="the claim that lists groups (groups)"
    )
    parser.add_argument("--node", metavar="NAME", help="this node's name (default: the host's)")
    parser.add_argument("--gods", metavar="LIST", help=f"only some of {','.join(config.GODS)}")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    settings = config.settings(args)
    logs.set_up(args.log_level)
    from olympus import boot  # noqa: PLC0415 - other commands need none of it

    def announce(told: boot.Announced) -> None:
        lines = {"page": told.page, "git": told.remote, "token": told.token_file and f"in {told.token_file}"}
        if told.page is None:
            lines["node"] = f"{told.node} runs {', '.join(sorted(told.gods))}"
        print("\n".join(f"{name:7} {said}" for name, said in lines.items() if said), flush=True)

    asyncio.run(boot.run(settings, announce))
    return 0
