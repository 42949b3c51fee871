from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from tenant_api.passive import DEFAULT_PASSIVE_METHODS
from tenant_api.template import TenantTemplate
from tenant_api.validation import findings


def test_defaults_are_those_that_design_names(template: Callable[..., TenantTemplate]) -> None:
    spec = template().spec
    assert (spec.runtime, spec.idle.timeout, spec.wake.timeout, spec.wake.plan, spec.wake.weight) == (
        "native",
        900,
        60,
        "standard",
        1,
    )
    assert spec.idle.passive_methods == list(DEFAULT_PASSIVE_METHODS)
    assert spec.volume.size == 5 * 2**30


def test_everything_that_design_names(template: Callable[..., TenantTemplate]) -> None:
    made = template(
        runtime="openclaw",
        image="registry.example.com/openclaw:1",
        volume={
            "source": {"volumeSnapshot": {"name": "golden"}},
            "size": "10Gi",
            "storageClassName": "fast",
            "accessModes": ["ReadWriteOncePod"],
            "prebind": True,
        },
        config="{ gateway: {} }",
        protected=["gateway.auth", "models.providers", 'models.providers["my.own"].baseUrl', "a.*.b"],
        env=[{"name": "A", "value": "b"}, {"name": "K", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}}],
        resources={"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 2, "nvidia.com/gpu": "1"}},
        nodeSelector={"pool": "tenants"},
        tolerations=[{"key": "tenants", "operator": "Exists", "effect": "NoSchedule"}],
        runtimeClassName="gvisor",
        priorityClassName="low",
        idle={"timeout": "5m", "passiveMethods": ["health"]},
        wake={"timeout": "2m", "plan": "gold", "weight": 10},
        limits={"connections": 5},
    )
    assert made.spec.resources.limits["cpu"] == "2"
    assert TenantTemplate.model_validate_json(made.model_dump_json(exclude_none=True)) == made


@pytest.mark.parametrize(
    ("spec", "field", "says"),
    [
        ({"runtime": "nativ"}, ("spec", "runtime"), "write native"),
        ({"version": 3}, ("spec", "version"), "quotes"),
        ({"protected": ["gateway..auth"]}, ("spec", "protected", 0), "gateway.auth"),
        ({"volume": {"source": {}}}, ("spec", "volume", "source"), "name one"),
        (
            {"volume": {"source": {"path": "a", "volumeSnapshot": {"name": "b"}}}},
            ("spec", "volume", "source"),
            "several",
        ),
        ({"env": [{"name": "A-B"}]}, ("spec", "env", 0, "name"), "'A_B'"),
        (
            {"env": [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "k", "key": "k"}}}]},
            ("spec", "env", 0),
            "both",
        ),
        ({"env": [{"name": "A", "valueFrom": {}}]}, ("spec", "env", 0, "valueFrom"), "secretKeyRef"),
        ({"resources": {"limits": {"memory": "1GB"}}}, ("spec", "resources", "limits", "memory"), "no quantity"),
        ({"volume": {"accessModes": ["ReadWriteMany"]}}, ("spec", "volume", "accessModes", 0), "ReadWriteOnce"),
        ({"nodeSelector": {"a b": "c"}}, ("spec", "nodeSelector", "a b"), "label key"),
    ],
)
def test_every_mistake_names_the_field_and_the_fix(
    template: Callable[..., TenantTemplate], spec: dict[str, Any], field: tuple[str | int, ...], says: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        template(**spec)
    problems = [problem for problem in findings(caught.value, TenantTemplate) if problem.field == field]
    assert len(problems) == 1, list(findings(caught.value, TenantTemplate))
    assert says in str(problems[0])
