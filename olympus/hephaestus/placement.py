"""Which nodes a run is for, and what an order needs to know of its node: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from olympus.hephaestus.model import NotPlaced, Placed
from olympus.hephaestus.orders import HttpAction, Order, SecretRef
from olympus.hephaestus.ports import DeclaredNode, Specs
from olympus.hephaestus.recipe import Nodes, Recipe
from olympus.kernel.errors import Invalid
from olympus.records.run import Target
from olympus.spec.selector import parse_selector


def place(
    recipe: Recipe, nodes: Sequence[DeclaredNode], own: str, busy: Mapping[str, int]
) -> Placed | NotPlaced:
    """The nodes that match now. own: the node that takes a run without `nodes`; busy: open orders by node."""
    if recipe.nodes is None:
        here = next((node for node in nodes if node.name == own), DeclaredNode(own))
        chosen = [here]
    else:
        chosen = _chosen(recipe.nodes, nodes, busy)
        if not chosen:
            return NotPlaced(f"no node matches '{recipe.nodes.selector}'")
    delegates: dict[str, tuple[Target, ...]] = {}
    for step in recipe.steps:
        if step.delegate is not None:
            fit = [node for node in _chosen(step.delegate, nodes, busy) if _unfit(node) is None]
            if not fit:
                return NotPlaced(f"step '{step.name}': no live node matches '{step.delegate.selector}'")
            delegates[step.name] = tuple(_target(node) for node in fit)
    unfit = {node.name: reason for node in chosen if (reason := _unfit(node)) is not None}
    return Placed(tuple(_target(node) for node in chosen), delegates, unfit)


def _chosen(nodes: Nodes, known: Sequence[DeclaredNode], busy: Mapping[str, int]) -> list[DeclaredNode]:
    selector = parse_selector(nodes.selector)
    matching = sorted(
        (node for node in known if not node.maintenance and selector.matches(node.labels)),
        key=lambda node: node.name,
    )
    if not nodes.pick_one:
        return matching
    fit = [node for node in matching if _unfit(node) is None] or matching
    return [min(fit, key=lambda node: (busy.get(node.name, 0), node.name))] if fit else []


def _unfit(node: DeclaredNode) -> str | None:
    if not node.alive:
        return f"node {node.name} is not there"
    if node.mode == "observe":
        return f"node {node.name} is in mode observe: nothing is run there"
    return None


def _target(node: DeclaredNode) -> Target:
    return Target(name=node.name, labels=dict(node.labels), address=node.address)


def complete(order: Order, epoch: int, specs: Specs) -> Order:
    """The order with what only the catalog knows. Raises Invalid where it may not use one."""
    node = next((one for one in specs.nodes() if one.name == order.node), DeclaredNode(order.node))
    reason = _unfit(node)
    if reason is not None:
        raise Invalid(reason)
    action = order.action
    if isinstance(action, HttpAction) and action.headers:
        headers = {
            name: _resolved(value, order, node, specs) if isinstance(value, SecretRef) else value
            for name, value in action.headers.items()
        }
        action = action.model_copy(update={"headers": headers})
    secrets = {name: _resolved(ref, order, node, specs) for name, ref in order.secrets.items()}
    return order.model_copy(
        update={"epoch": epoch, "action": action, "secrets": secrets, "allow_users": node.allow_users}
    )


def _resolved(ref: SecretRef, order: Order, node: DeclaredNode, specs: Specs) -> SecretRef:
    declared = specs.secret(ref.secret)
    if declared is None:
        raise Invalid(f"there is no secret '{ref.secret}'")
    if order.pipeline not in declared.pipelines:
        raise Invalid(f"secret '{ref.secret}' may not be used by pipeline '{order.pipeline}'")
    if declared.selector is not None and not parse_selector(declared.selector).matches(node.labels):
        raise Invalid(f"secret '{ref.secret}' may not be used on node {node.name}")
    return ref.model_copy(update={"source": dict(declared.source)})
