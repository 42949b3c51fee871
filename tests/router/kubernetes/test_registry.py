"""Who has which token, as tenants come, change and go."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import msgspec

from tenant_api.passive import DEFAULT_PASSIVE_METHODS
from tenant_router.kubernetes.objects import Template, Tenant
from tenant_router.kubernetes.registry import Registry

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def tenant(name: str, *hashes: str, age: int = 0, **spec: Any) -> Tenant:
    tokens = [{"name": f"t{index}", "sha256": sha} for index, sha in enumerate(hashes)]
    meta = {
        "name": name,
        "namespace": "n",
        "uid": f"uid-{name}-{age}",
        "creationTimestamp": f"2026-01-01T00:00:{age:02}Z",
        **spec.pop("meta", {}),
    }
    return msgspec.convert(
        {"metadata": meta, "spec": {"templateRef": {"name": "std"}, "tokens": tokens, **spec}}, Tenant
    )


def template(**spec: Any) -> Template:
    return msgspec.convert({"metadata": {"name": "std", "namespace": "n"}, "spec": {"version": "1", **spec}}, Template)


def owner(registry: Registry, sha: str) -> str | None:
    match = registry.find(bytes.fromhex(sha))
    return None if match is None else match.tenant.key


def test_a_token_opens_its_tenant_and_no_other() -> None:
    registry = Registry()
    assert registry.put_tenant(tenant("ann", A, B)) == []
    assert owner(registry, A) == owner(registry, B) == "n/ann"
    assert owner(registry, C) is None


def test_a_removed_token_is_revoked_by_its_name() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A, B))
    assert registry.put_tenant(tenant("ann", A)) == [("n/ann", frozenset({"t1"}))]
    assert owner(registry, B) is None


def test_a_token_replaced_under_its_name_is_revoked() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A))
    assert registry.put_tenant(tenant("ann", B)) == [("n/ann", frozenset({"t0"}))]
    assert owner(registry, A) is None
    assert owner(registry, B) == "n/ann"


def test_a_renamed_token_closes_what_was_opened_under_the_old_name() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A, B))
    assert registry.put_tenant(tenant("ann", B)) == [("n/ann", frozenset({"t0", "t1"}))]


def test_the_same_tenant_again_revokes_nothing() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A))
    assert registry.put_tenant(tenant("ann", A)) == []


def test_the_older_of_two_tenants_keeps_a_token_in_either_order() -> None:
    for first, second in (("old", "new"), ("new", "old")):
        registry = Registry()
        both = {"old": tenant("old", A, age=1), "new": tenant("new", A, B, age=2)}
        registry.put_tenant(both[first])
        revoked = registry.put_tenant(both[second])
        assert owner(registry, A) == "n/old"
        assert owner(registry, B) == "n/new"
        assert revoked == ([] if first == "old" else [("n/new", frozenset({"t0"}))])
        new = registry.get("n/new")
        assert new is not None
        assert registry.rivalries(new) == [("t0", "n/old")]


def test_of_one_second_the_smaller_uid_is_the_older() -> None:
    registry = Registry()
    registry.put_tenant(tenant("zoe", A))
    registry.put_tenant(tenant("ann", A))
    assert owner(registry, A) == "n/ann"


def test_the_newer_tenant_inherits_a_token_that_the_older_gives_up() -> None:
    registry = Registry()
    for name, age in (("old", 1), ("middle", 2), ("new", 3)):
        registry.put_tenant(tenant(name, A, age=age))
    registry.put_tenant(tenant("old", age=1))
    assert owner(registry, A) == "n/middle"
    registry.remove_tenant("n/middle")
    assert owner(registry, A) == "n/new"


def test_a_rival_that_goes_is_no_heir() -> None:
    registry = Registry()
    registry.put_tenant(tenant("old", A, age=1))
    registry.put_tenant(tenant("new", A, age=2))
    registry.put_tenant(tenant("new", age=2))
    registry.remove_tenant("n/old")
    assert owner(registry, A) is None


def test_a_tenant_made_anew_under_its_name_closes_the_old_ones_connections() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A, age=1))
    assert registry.put_tenant(tenant("ann", A, age=2)) == [("n/ann", None)]
    assert owner(registry, A) == "n/ann"


def test_a_tenant_that_is_being_deleted_is_gone() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A))
    leaving = tenant("ann", A, meta={"deletionTimestamp": "2026-01-02T00:00:00Z"})
    assert registry.put_tenant(leaving) == [("n/ann", None)]
    assert owner(registry, A) is None


def test_suspending_closes_all_connections_once() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A))
    assert registry.put_tenant(tenant("ann", A, power="Suspended")) == [("n/ann", None)]
    assert registry.put_tenant(tenant("ann", A, power="Suspended")) == []
    match = registry.find(bytes.fromhex(A))
    assert match is not None
    assert match.tenant.suspended


def test_limits_are_the_tenants_own_else_its_templates_and_follow_an_edit() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A, limits={"connections": 3}))
    match = registry.find(bytes.fromhex(A))
    assert match is not None
    assert match.tenant.wake_timeout == 60.0
    limits = {"connections": 9, "wakesPerHour": 7}
    registry.put_template(template(wake={"timeout": "90s", "plan": "gold", "weight": 3}, limits=limits))
    match = registry.find(bytes.fromhex(A))
    assert match is not None
    record = match.tenant
    assert (record.wake_timeout, record.plan, record.weight) == (90.0, "gold", 3)
    assert (record.limits.connections, record.limits.wakes_per_hour) == (3, 7)
    again = registry.find(bytes.fromhex(A))
    assert again is not None
    assert again.tenant is record
    registry.remove_template("n", "std")
    match = registry.find(bytes.fromhex(A))
    assert match is not None
    assert match.tenant.limits.wakes_per_hour is None


def test_passive_methods_are_the_templates_in_the_place_of_the_default_and_follow_an_edit() -> None:
    registry = Registry()
    registry.put_tenant(tenant("ann", A))
    ann = registry.get("n/ann")
    assert ann is not None

    def passive() -> Set[str]:
        return registry.template(ann).passive_methods

    default = frozenset(DEFAULT_PASSIVE_METHODS)
    assert passive() == default
    registry.put_template(template(idle={"timeout": "5m"}))
    assert passive() == default
    registry.put_template(template(idle={"passiveMethods": ["sessions.list"]}))
    assert passive() == {"sessions.list"}
    registry.put_template(template(idle={"passiveMethods": []}))
    assert passive() == frozenset()
    registry.remove_template("n", "std")
    assert passive() == default


def expiring(at: str) -> Tenant:
    return tenant("ann", tokens=[{"name": "phone", "sha256": A, "expiresAt": at}])


def test_an_expired_token_is_told_once_at_its_time() -> None:
    registry = Registry()
    registry.put_tenant(expiring("1970-01-01T00:01:40Z"))
    assert registry.expired(99.0) == []
    assert registry.expired(100.0) == [("n/ann", frozenset({"phone"}))]
    assert registry.expired(101.0) == []


def test_a_new_expiry_takes_the_place_of_the_old_one() -> None:
    registry = Registry()
    registry.put_tenant(expiring("1970-01-01T00:01:40Z"))
    registry.put_tenant(expiring("1970-01-01T00:03:20Z"))
    assert registry.expired(150.0) == []
    assert registry.expired(200.0) == [("n/ann", frozenset({"phone"}))]


def test_one_bad_token_costs_only_itself() -> None:
    registry = Registry()
    broken = [{"name": "x", "sha256": "zz"}, {"name": "y", "sha256": B}]
    registry.put_tenant(tenant("ann", tokens=broken))
    assert owner(registry, B) == "n/ann"
