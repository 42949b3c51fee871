"""What a cluster can be asked for. A test names what it needs: `pytestmark = pytest.mark.needs(Ability.CLONES)`.

Where the cluster lacks it the test is skipped and the report says why; a scratch cluster lacks nothing, so a skip there is
a failure (`fixtures.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from .errors import ClusterError


class Ability(StrEnum):
    """Not every cluster can do these."""

    CLONES = "clones"
    """A claim may be made from another one (the `storage_class` of its provider)."""
    POLICIES = "policies"
    """NetworkPolicies are enforced."""
    ROUTES = "routes"
    """This machine has a route to pods and Services."""
    PARTS = "parts"
    """Its components can be stopped and started, its pods' processes killed, packets on its node held back."""
    LATE = "late"
    """It has a class LATE_STORAGE_CLASS (layout.py) of storage that clones, and binds on first use only."""

    SNAPSHOTS = "snapshots"
    """VolumeSnapshots can be taken of such claims, by its default VolumeSnapshotClass, and claims be made from them."""


ALL = frozenset(Ability)
LACKS = {
    Ability.CLONES: "its volumes can't be cloned",
    Ability.POLICIES: "nothing enforces NetworkPolicies there",
    Ability.ROUTES: "this machine has no route to its pods and Services",
    Ability.PARTS: "its node is not ours to break",
    Ability.LATE: "it has no storage that clones and binds on first use",
    Ability.SNAPSHOTS: "no snapshots can be taken of its volumes",
}


def parse(text: str) -> frozenset[Ability]:
    """Abilities from a list with commas, as in CLUSTER_ABILITIES; ClusterError for a word that is none."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [word for word in words if word not in list(Ability)]:
        raise ClusterError(f"CLUSTER_ABILITIES: {', '.join(unknown)} is no ability", f"any of: {', '.join(Ability)}")
    return frozenset(map(Ability, words))


def lacking(needed: Iterable[Ability], there: frozenset[Ability]) -> str:
    """Why a test can't run, "" if it can."""
    return "; ".join(LACKS[ability] for ability in needed if ability not in there)
