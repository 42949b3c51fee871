"""Warning events: what they are about, and which are believed."""

from __future__ import annotations

import msgspec

from tenant_router.kubernetes.objects import Event
from tenant_router.kubernetes.warnings import Warnings, claim_of


def event(kind: str, name: str, reason: str, uid: str = "", at: str | None = None) -> Event:
    about = {"kind": kind, "name": name, "uid": uid}
    return msgspec.convert(
        {
            "metadata": {"namespace": "n"},
            "involvedObject": about,
            "reason": reason,
            "message": "exceeded quota",
            "lastTimestamp": at,
        },
        Event,
    )


def test_a_replica_sets_warning_is_its_tenants() -> None:
    warnings = Warnings()
    assert warnings.put(event("ReplicaSet", "openclaw-ann-2-5d4f9c", "FailedCreate"), 7.0, news=True) == "n/ann-2"
    warned = warnings.about("n/ann-2")
    assert warned is not None
    assert (warned.seen, warned.news) == (7.0, True)
    warnings.forget("n/ann-2")
    assert warnings.about("n/ann-2") is None


def test_a_claims_warning_is_kept_apart() -> None:
    warnings = Warnings()
    claim = event("PersistentVolumeClaim", "openclaw-ann", "ProvisioningFailed")
    assert warnings.put(claim, 0.0, news=True) == claim_of("n/ann")
    assert warnings.about("n/ann") is None


def test_others_are_none_of_ours() -> None:
    warnings = Warnings()
    assert warnings.put(event("ReplicaSet", "web-5d4f9c", "FailedCreate"), 0.0, news=True) is None
    assert warnings.put(event("Node", "openclaw-ann", "FailedCreate"), 0.0, news=True) is None
    assert warnings.put(event("Pod", "openclaw-ann-x", "Unhealthy", uid="1"), 0.0, news=True) is None


def test_a_listed_warning_from_long_ago_is_not_believed() -> None:
    warnings = Warnings()
    old = event("ReplicaSet", "openclaw-ann-5d4f9c", "FailedCreate", at="2020-01-01T00:00:00Z")
    assert warnings.put(old, 0.0, news=False) is None
    assert warnings.put(old, 0.0, news=True) == "n/ann"
