"""One veth pair between the host and the node, and routes: the host reaches pods and Services directly."""

from __future__ import annotations

from ..layout import HOST_IP, HOST_LINK, LINK_PREFIX, NODE_IP, POD_CIDR, SERVICE_CIDR
from ..programs import run
from .namespaces import enter_command

TIMEOUT_SECONDS = 10.0


def up(holder: int) -> None:
    """Lay the pair and the routes; what is there is kept."""
    if not _exists(HOST_LINK):
        _host("ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", "eth0", "netns", str(holder))
    _host("ip", "address", "replace", f"{HOST_IP}/{LINK_PREFIX}", "dev", HOST_LINK)
    _host("ip", "link", "set", HOST_LINK, "up")
    _node(holder, "ip", "address", "replace", f"{NODE_IP}/{LINK_PREFIX}", "dev", "eth0")
    _node(holder, "ip", "link", "set", "eth0", "up")
    _node(holder, "ip", "route", "replace", "default", "via", HOST_IP)
    for destination in (POD_CIDR, SERVICE_CIDR):
        _host("ip", "route", "replace", destination, "via", NODE_IP)
    # Packets between pods pass the bridge; with this they meet the rules of the firewall too.
    for family in ("iptables", "ip6tables"):
        _node(holder, "sh", "-c", f"echo 1 > /proc/sys/net/bridge/bridge-nf-call-{family}")


def down() -> None:
    """The routes go with the link."""
    if _exists(HOST_LINK):
        _host("ip", "link", "delete", HOST_LINK)


def _exists(link: str) -> bool:
    return f" {link}@" in _host("ip", "-oneline", "link", "show", "type", "veth")


def _host(*words: str) -> str:
    return run(words, timeout=TIMEOUT_SECONDS)


def _node(holder: int, *words: str) -> None:
    run(enter_command(holder, words), timeout=TIMEOUT_SECONDS)
