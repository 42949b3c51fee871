"""Pods by tenant: which one counts, and how those that are gone ended."""

from __future__ import annotations

from typing import Any

import msgspec

from tenant_api.kubernetes_names import gateway_labels
from tenant_router.kubernetes.objects import Pod
from tenant_router.kubernetes.pods import Pods


def pod(uid: str, created: int = 0, deleting: bool = False, labels: dict[str, str] | None = None, **status: Any) -> Pod:
    meta = {
        "name": f"openclaw-ann-{uid}",
        "namespace": "n",
        "uid": uid,
        "labels": gateway_labels("ann") if labels is None else labels,
        "creationTimestamp": f"2026-01-01T00:00:{created:02}Z",
        "deletionTimestamp": "2026-01-01T01:00:00Z" if deleting else None,
    }
    ports = [{"name": "other", "containerPort": 1}, {"name": "gateway", "containerPort": 4711}]
    spec = {"containers": [{"name": "sidecar"}, {"name": "gateway", "ports": ports}]}
    return msgspec.convert({"metadata": meta, "spec": spec, "status": status}, Pod)


def test_the_newest_living_pod_counts() -> None:
    pods = Pods()
    pods.put(pod("1", created=1, phase="Running", podIP="10.0.0.1"), 0.0)
    pods.put(pod("2", created=2, phase="Pending"), 0.0)
    current = pods.current("n/ann")
    assert current is not None
    assert current.uid == "2"
    pods.put(pod("2", created=2, deleting=True), 0.0)
    current = pods.current("n/ann")
    assert current is not None
    assert (current.uid, current.ip, current.port) == ("1", "10.0.0.1", 4711)
    pods.put(pod("1", created=1, phase="Failed"), 0.0)
    assert pods.current("n/ann") is None
    assert len(pods.of("n/ann")) == 2


def test_a_pod_without_a_tenant_is_none_of_ours() -> None:
    pods = Pods()
    assert pods.put(pod("1", labels={}), 0.0) is None
    assert len(pods) == 0


def test_what_is_known_of_a_pod_outlives_its_changes() -> None:
    pods = Pods()
    first = pods.put(pod("1", phase="Running", podIP="10.0.0.1"), 1.0)
    assert first is not None
    first.greeted = True
    again = pods.put(pod("1", phase="Running", podIP="10.0.0.1"), 2.0)
    assert again is first
    assert again.greeted
    assert again.seen == 1.0


def test_the_end_of_a_pod_is_remembered_with_its_last_words() -> None:
    pods = Pods()
    pods.put(pod("1", phase="Failed", reason="Evicted", message="low on memory"), 0.0)
    pods.remove("1", "pod x was deleted")
    assert pods.get("1") is None
    assert "Evicted" in (pods.end_of("1") or "")
    assert pods.end_of("2") is None
