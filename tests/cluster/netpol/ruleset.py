"""The nft script that puts NetworkPolicies in force: objects in, text out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .selection import Object, Pod, Selection, policy_types

TABLE = "inet netpol"
PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}
# nft refuses names of more than 127 characters.
CHAIN_NAME_CHARS = 120


class Direction(NamedTuple):
    """One of the two directions of a policy, in the API's words and in nft's."""

    name: str  # as in spec.ingress, spec.egress
    type: str  # as in spec.policyTypes
    peers: str  # the field of a rule that lists the peers
    own: str  # where a packet has the address of the pod that a policy selects
    other: str  # where it has the peer's
    device: str  # the side on which a packet of the selected pod meets the bridge
    hooks: tuple[str, ...]  # packets to the node itself pass input; those between pods pass forward, by br_netfilter
    priority: int  # an accept ends only the chain of its own priority, so egress and ingress both have to accept


DIRECTIONS = (
    Direction("egress", "Egress", "to", "saddr", "daddr", "iifname", ("forward", "input"), 10),
    Direction("ingress", "Ingress", "from", "daddr", "saddr", "oifname", ("forward",), 11),
)


def ruleset(
    pods: Iterable[Object], namespaces: Iterable[Object], policies: Iterable[Object], bridge: str = "cni0"
) -> str:
    """The script that replaces the table, whatever it held, by the rules of these policies."""
    selection = Selection(pods, namespaces)
    lines = [f"table {TABLE}", f"delete table {TABLE}", f"table {TABLE} {{"]
    ordered = sorted(policies, key=lambda policy: (policy["metadata"]["namespace"], policy["metadata"]["name"]))
    for direction in DIRECTIONS:
        in_force = [policy for policy in ordered if direction.type in policy_types(policy["spec"])]
        if in_force:
            lines += _chains(selection, in_force, direction, bridge)
    return "\n".join((*lines, "}", ""))


def _chains(selection: Selection, policies: list[Object], direction: Direction, bridge: str) -> Iterator[str]:
    """A chain for each policy, one for each group of pods under the same policies, and the way in."""
    name = direction.name
    chains_of: dict[ipaddress.IPv4Address, tuple[str, ...]] = dict.fromkeys(selection.pods, ())
    for number, policy in enumerate(policies):
        chain = _chain_name(policy, direction, number)
        selected = selection.select([policy["metadata"]["namespace"]], policy["spec"].get("podSelector") or {})
        for pod in selected:
            chains_of[pod.ip] += (chain,)
        yield from (f"chain {chain} {{", *_rules(selection, policy, direction, selected), "}")
    groups: dict[tuple[str, ...], list[str]] = {}
    for ip, chains in chains_of.items():
        groups.setdefault(chains, []).append(str(ip))
    dispatch = []
    for number, (chains, ips) in enumerate(groups.items()):
        group = f"{name}-group-{number}"
        if chains:
            yield from (f"chain {group} {{", *(f"jump {chain}" for chain in chains), "counter drop", "}")
        # Sets, not one map of verdicts: for a moment the kernel still runs the chains that it replaces, with maps
        # emptied and sets intact.
        verdict = f"goto {group}" if chains else "accept"
        dispatch.append(f"ip {direction.own} {{ {', '.join(ips)} }} {verdict}")
    if selection.pods:
        to_itself = ", ".join(f"{ip} . {ip}" for ip in selection.pods)
        dispatch.insert(0, f"ip saddr . ip daddr {{ {to_itself} }} accept")
    replies = ("ct state related accept", "ct state established ct direction reply accept")
    yield from (f"chain {name} {{", *replies, *dispatch, f'{direction.device} "{bridge}" counter drop', "}")
    for hook in direction.hooks:
        base = f"type filter hook {hook} priority filter + {direction.priority}; policy accept"
        yield f"chain {name}-{hook} {{ {base}; jump {name}; }}"


def _chain_name(policy: Object, direction: Direction, number: int) -> str:
    chain = f"{direction.name}/{policy['metadata']['namespace']}/{policy['metadata']['name']}"
    return chain if len(chain) < CHAIN_NAME_CHARS else f"{chain[: CHAIN_NAME_CHARS - 20]}/{number}"


def _rules(selection: Selection, policy: Object, direction: Direction, selected: Sequence[Pod]) -> Iterator[str]:
    namespace = policy["metadata"]["namespace"]
    for rule in policy["spec"].get(direction.name) or []:
        for peer, candidates in _peer_matches(selection, rule.get(direction.peers), direction, namespace):
            destinations = selected if direction.name == "ingress" else candidates
            for port in _port_matches(rule.get("ports"), destinations):
                yield " ".join(filter(None, (peer, port, "accept")))


def _peer_matches(
    selection: Selection, peers: Sequence[Object] | None, direction: Direction, namespace: str
) -> Iterator[tuple[str, Sequence[Pod]]]:
    """Pairs: a match on the peer's address, and pods among which are all that it lets through."""
    everyone = list(selection.pods.values())
    if not peers:
        yield "", everyone
        return
    address, chosen = f"ip {direction.other}", dict[ipaddress.IPv4Address, Pod]()
    for peer in peers:
        if block := peer.get("ipBlock"):
            if match := _block_match(address, block):
                yield match, everyone
        else:
            chosen.update((pod.ip, pod) for pod in selection.select_peer(peer, namespace))
    if chosen:
        yield f"{address} {{ {', '.join(map(str, sorted(chosen)))} }}", list(chosen.values())


def _block_match(address: str, block: Object) -> str | None:
    """None for IPv6: nothing of it passes anyway."""
    network = ipaddress.ip_network(block["cidr"], strict=False)
    if not isinstance(network, ipaddress.IPv4Network):
        return None
    excepted = (ipaddress.IPv4Network(cidr, strict=False) for cidr in block.get("except") or [])
    holes = ipaddress.collapse_addresses(excepted)
    return " ".join([f"{address} {network}", *(f"{address} != {hole}" for hole in holes)])


def _port_matches(ports: Sequence[Object] | None, destinations: Iterable[Pod]) -> Iterator[str]:
    """Matches on the destination port; a name is looked up in each of the pods `destinations`."""
    if not ports:
        yield ""
        return
    for entry in ports:
        protocol, port = entry.get("protocol") or "TCP", entry.get("port")
        if port is None:
            yield f"meta l4proto {PROTOCOLS[protocol]}"
        elif isinstance(port, int):
            last = f"-{entry['endPort']}" if entry.get("endPort") else ""
            yield f"{PROTOCOLS[protocol]} dport {port}{last}"
        else:
            pairs = [f"{pod.ip} . {pod.ports[port, protocol]}" for pod in destinations if (port, protocol) in pod.ports]
            if pairs:
                yield f"ip daddr . {PROTOCOLS[protocol]} dport {{ {', '.join(pairs)} }}"
