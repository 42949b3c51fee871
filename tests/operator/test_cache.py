from __future__ import annotations

import itertools
from typing import Any

from tenant_api.tokens import token_hex
from tenant_operator.apiserver.resources import DEPLOYMENT, POD, TENANT
from tenant_operator.cache.cache import Cache
from tenant_operator.cache.essence import says
from tenant_operator.cache.records import DeploymentRecord, TenantRecord

versions = itertools.count(1)


def tenant(name: str, *tokens: str, created: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "ns",
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": str(next(versions)),
        "creationTimestamp": created,
        **more,
    }
    spec = {
        "userId": name,
        "templateRef": {"name": "standard"},
        "tokens": [{"name": f"t{number}", "sha256": token_hex(token)} for number, token in enumerate(tokens)],
    }
    return {"metadata": metadata, "spec": spec}


def deployment(version: int, replicas: int = 0, image: str = "i", uid: str = "d") -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "ns",
            "name": "openclaw-ann",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {"openclaw-tenancy.dev/tenant": "ann"},
            "annotations": {"openclaw-tenancy.dev/applied": "h"},
        },
        "spec": {"replicas": replicas, "template": {"image": image}},
    }


def test_older_and_equal_versions_are_ignored() -> None:
    cache = Cache()
    assert cache.put(DEPLOYMENT, deployment(5, replicas=1)) is not None
    assert cache.put(DEPLOYMENT, deployment(5)) is None
    assert cache.put(DEPLOYMENT, deployment(4)) is None
    found = cache.view(("ns", "ann")).deployment
    assert found is not None and found.replicas == 1
    # An object made anew under the name starts counting anew in our eyes.
    assert cache.put(DEPLOYMENT, deployment(3, uid="other")) is not None


def test_removal_of_another_incarnation_changes_nothing() -> None:
    cache = Cache()
    cache.put(DEPLOYMENT, deployment(5))
    assert cache.remove(DEPLOYMENT, "ns", "openclaw-ann", "old") is None
    assert cache.remove(DEPLOYMENT, "ns", "openclaw-ann", "d") is not None
    assert cache.view(("ns", "ann")).deployment is None


def test_full_list_takes_ghosts_away_but_nothing_newer() -> None:
    cache = Cache()
    for name in ("a", "b", "c"):
        cache.put(TENANT, tenant(name))
    newest = tenant("d")
    cache.put(TENANT, newest)
    before = int(newest["metadata"]["resourceVersion"]) - 1
    assert [record.name for record in cache.prune(TENANT, "ns", {"a"}, before)] == ["b", "c"]
    assert sorted(record.name for record in cache.tenants()) == ["a", "d"]


def test_what_was_compared_stays_so_while_the_object_says_the_same() -> None:
    cache = Cache()
    first = cache.put(DEPLOYMENT, deployment(1))
    assert isinstance(first, DeploymentRecord) and first.content
    first.content = b""
    scaled = cache.put(DEPLOYMENT, deployment(2, replicas=1))
    assert isinstance(scaled, DeploymentRecord) and not scaled.content
    changed = cache.put(DEPLOYMENT, deployment(3, replicas=1, image="other"))
    assert isinstance(changed, DeploymentRecord) and changed.content


def record(cache: Cache, name: str) -> TenantRecord:
    found = cache.tenant(("ns", name))
    assert found is not None
    return found


def test_oldest_tenant_keeps_a_token() -> None:
    cache = Cache()
    cache.put(TENANT, tenant("new", "x", created="2026-01-02T00:00:00Z"))
    cache.put(TENANT, tenant("old", "x", "y", created="2026-01-01T00:00:00Z"))
    assert [keeper.name for _, keeper in cache.rivals(record(cache, "new"))] == ["old"]
    assert list(cache.rivals(record(cache, "old"))) == []
    # It gives the token up, by a change or by going.
    cache.put(TENANT, tenant("old", "y"))
    assert list(cache.rivals(record(cache, "new"))) == []
    cache.put(TENANT, tenant("old", "x"))
    cache.put(TENANT, tenant("old", "x", deletionTimestamp="2026-01-03T00:00:00Z"))
    assert list(cache.rivals(record(cache, "new"))) == []


def test_followers_of_a_template() -> None:
    cache = Cache()
    for name in ("b", "a"):
        cache.put(TENANT, tenant(name))
    assert cache.followers(("ns", "standard")) == [("ns", "a"), ("ns", "b")]
    cache.remove(TENANT, "ns", "a", "uid-a")
    assert cache.followers(("ns", "standard")) == [("ns", "b")]


def pod(name: str, created: str, **status: Any) -> dict[str, Any]:
    labels = {"openclaw-tenancy.dev/tenant": "ann", "app.kubernetes.io/component": "gateway"}
    metadata = {"namespace": "ns", "name": name, "uid": name, "resourceVersion": str(next(versions)), "labels": labels}
    return {"metadata": {**metadata, "creationTimestamp": created}, "status": {"phase": "Running", **status}}


def test_the_pod_is_the_newest_that_lives() -> None:
    cache = Cache()
    cache.put(POD, pod("old", "2026-01-01T00:00:00Z"))
    cache.put(POD, pod("new", "2026-01-02T00:00:00Z"))
    cache.put(POD, pod("dead", "2026-01-03T00:00:00Z", phase="Failed"))
    ending = pod("ending", "2026-01-04T00:00:00Z")
    ending["metadata"]["deletionTimestamp"] = "2026-01-05T00:00:00Z"
    cache.put(POD, ending)
    view = cache.view(("ns", "ann"))
    assert view.pod is not None and view.pod.name == "new"
    assert len(view.pods) == 4


def test_says_takes_defaults_for_granted_and_sees_changes() -> None:
    wanted = {"a": 1, "list": [1, 2], "named": [{"name": "x", "v": 1}], "empty": {}}
    assert says({**wanted, "default": True, "named": [{"name": "y"}, {"name": "x", "v": 1, "d": 0}]}, wanted)
    assert not says({**wanted, "a": 2}, wanted)
    assert not says({**wanted, "list": [2, 1]}, wanted)
    assert not says({**wanted, "list": [1, 2, 3]}, wanted)
    assert not says({**wanted, "named": []}, wanted)
    assert not says({key: value for key, value in wanted.items() if key != "empty"}, wanted)
