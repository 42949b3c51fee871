"""What the API server makes of an apply."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_process import parts
from operator_world import World, template, tenant

from tenant_api.apiserver_errors import ApiError
from tenant_operator.apiserver.resources import SECRET, TENANT, Json, Resource


@pytest.mark.parametrize(
    ("resource", "body", "subresource"),
    [
        (TENANT, {"metadata": {"name": "ann"}, "status": {"mood": "well"}}, "status"),
        (SECRET, {"metadata": {"name": "keys"}, "mood": "well"}, ""),
    ],
    ids=["of a kind of ours", "of a built-in kind"],
)
async def test_an_unknown_field_is_refused_though_validation_is_off(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resource: Resource, body: Json, subresource: str
) -> None:
    here.apply(template(), tenant("ann"))
    async with parts(here.cluster.kubeconfig, here.namespace, tmp_path, monkeypatch) as world:
        with pytest.raises(ApiError, match="mood: field not declared in schema"):
            await world.api.apply(resource, here.namespace, body, subresource=subresource)
