from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from tenant_api.tenant import Tenant
from tenant_api.validation import Finding, findings

HASH = "0123456789abcdef" * 4


def found(tenant: Callable[..., Tenant], **spec: Any) -> list[Finding]:
    with pytest.raises(ValidationError) as caught:
        tenant(**spec)
    return list(findings(caught.value, Tenant))


def test_everything_that_design_names(tenant: Callable[..., Tenant]) -> None:
    made = tenant(
        templateRef={"name": "standard", "version": "3"},
        tokens=[{"name": "phone", "sha256": HASH, "expiresAt": "2030-01-31T12:00:00Z"}],
        config={"agents": {"defaults": {}}},
        credentials={"secretRef": {"name": "user-42-keys"}},
        power="AlwaysOn",
        idle={"timeout": "15m"},
        limits={"connections": 20, "requestsPerMinute": 600, "wakesPerHour": 60},
        storage={"size": "5Gi", "reclaim": "Retain"},
    )
    assert made.spec.idle.timeout == 900
    assert made.spec.storage.size == 5 * 2**30
    assert made.spec.tokens[0].expires_at is not None and made.spec.tokens[0].expires_at.timestamp() == 1896091200
    again = Tenant.model_validate_json(made.model_dump_json(exclude_none=True))
    assert again == made
    assert '"timeout":"15m"' in made.model_dump_json() and '"size":"5Gi"' in made.model_dump_json()


def test_what_the_api_server_adds_is_no_mistake() -> None:
    metadata = {
        "name": "ann",
        "uid": "u",
        "managedFields": [{}],
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    spec = {"userId": "42", "templateRef": {"name": "standard"}}
    assert (
        Tenant.model_validate({"metadata": metadata, "spec": spec, "status": {"phase": "Asleep"}}).metadata.uid == "u"
    )


def test_a_token_in_clear_is_refused_and_never_repeated(tenant: Callable[..., Tenant]) -> None:
    secret = "oct_" + "A" * 43
    for entry in (
        {"name": "phone", "sha256": secret},
        {"name": "phone", "token": secret},
        {"name": "phone", "value": secret},
    ):
        problems = found(tenant, tokens=[entry])
        assert any("run `openclaw-tenancy token new NAME`" in str(problem) for problem in problems)
        assert not any(secret in str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (HASH.upper(), "lower case"),
        (HASH[:-1], "64 lower-case hex digits"),
        ("sha256:" + HASH, "nothing else"),
        ("", "64 lower-case hex digits"),
        (HASH + "\n", "in clear"),
    ],
)
def test_a_bad_hash_says_what_to_write(tenant: Callable[..., Tenant], value: str, says: str) -> None:
    [problem] = found(tenant, tokens=[{"name": "phone", "sha256": value}])
    assert problem.field == ("spec", "tokens", 0, "sha256")
    assert says in problem.hint or says in problem.message


@pytest.mark.parametrize(
    ("spec", "field", "says"),
    [
        ({"confg": {}}, ("spec", "confg"), "did you mean 'config'?"),
        ({"user_id": "42"}, ("spec", "user_id"), "did you mean 'userId'?"),
        ({"limits": {"conections": 3}}, ("spec", "limits", "conections"), "did you mean 'connections'?"),
        ({"zzz": 1}, ("spec", "zzz"), "fields here are userId,"),
        ({"userId": 42}, ("spec", "userId"), "write it in quotes"),
        ({"userId": True}, ("spec", "userId"), "true or false"),
        ({"userId": None}, ("spec", "userId"), "give it a value"),
        ({"power": "always-on"}, ("spec", "power"), "write AlwaysOn"),
        ({"idle": {"timeout": 900}}, ("spec", "idle", "timeout"), '"900s"'),
        ({"idle": {"timeout": "900"}}, ("spec", "idle", "timeout"), "15m"),
        ({"storage": {"size": "5GB"}}, ("spec", "storage", "size"), "5Gi"),
        ({"storage": {"size": "0Gi"}}, ("spec", "storage", "size"), "5Gi"),
        ({"limits": {"connections": 0}}, ("spec", "limits", "connections"), "greater than or equal to 1"),
        ({"limits": {"connections": "20"}}, ("spec", "limits", "connections"), "without quotes"),
        ({"templateRef": "standard"}, ("spec", "templateRef"), "below it"),
        ({"templateRef": {}}, ("spec", "templateRef", "name"), "add name"),
        ({"tokens": [{"name": "My Phone", "sha256": HASH}]}, ("spec", "tokens", 0, "name"), "'my-phone'"),
        (
            {"tokens": [{"name": "a", "sha256": HASH, "expiresAt": "2030-01-01T00:00:00"}]},
            ("spec", "tokens", 0, "expiresAt"),
            "Z",
        ),
        ({"tokens": [{"name": "a", "sha256": HASH, "expiresAt": 5}]}, ("spec", "tokens", 0, "expiresAt"), "2030"),
        ({"tokens": [{"name": "a", "sha256": HASH}, {"name": "b", "sha256": HASH}]}, ("spec", "tokens"), "remove one"),
        ({"config": {"a": {"__proto__": 1}}}, ("spec", "config", "a", "__proto__"), "another name"),
        ({"config": {"a": [float("nan")]}}, ("spec", "config", "a", 0), "finite"),
        ({"config": {"a": 2**60}}, ("spec", "config", "a"), "quotes"),
        ({"config": []}, ("spec", "config"), "below it"),
    ],
)
def test_every_mistake_names_the_field_and_the_fix(
    tenant: Callable[..., Tenant], spec: dict[str, Any], field: tuple[str | int, ...], says: str
) -> None:
    problems = [problem for problem in found(tenant, **spec) if problem.field == field]
    assert len(problems) == 1, problems
    assert says in str(problems[0])
