"""The backend of examples/kubernetes does what docs/backend.md says, with the Role beside it and an operator at work."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration, CustomObjectsApi
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config import load_kube_config
from operator_world import SOON, World, eventually, template

from tenant_api.tokens import token_hex

EXAMPLES = Path(__file__).parents[2] / "examples" / "kubernetes"
USER = "Zoë <zoe@example.com>"
"""No DNS label, and no user id either as the CRD has it."""


def example() -> ModuleType:
    """Return examples/kubernetes/backend.py as a module."""
    spec = importlib.util.spec_from_file_location("backend_example", EXAMPLES / "backend.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks for its annotations
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def backend(here: World) -> AsyncIterator[tuple[ModuleType, Any]]:
    """The example's module, and its Tenants as the example's service account."""
    kubectl = here.cluster.kubectl
    kubectl("apply", "-n", here.namespace, "-f", str(EXAMPLES / "backend-role.yaml"))
    config = json.loads(here.cluster.kubeconfig.read_text())
    token = kubectl("create", "token", "backend", "-n", here.namespace).strip()
    config["users"] = [{"name": "backend", "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = "backend"
    file = here.tmp / "backend.json"
    file.write_text(json.dumps(config))
    settings = Configuration()
    await load_kube_config(str(file), client_configuration=settings)
    module = example()
    async with ApiClient(settings) as client:
        yield module, module.Tenants(CustomObjectsApi(client), here.namespace)


def hashes(here: World, name: str) -> dict[str, str]:
    """Return the tokens of a tenant by name."""
    found = here.get("tenants", name)
    assert found is not None
    return {one["name"]: one["sha256"] for one in found["spec"].get("tokens", [])}


async def test_a_user_comes_and_goes(here: World, backend: tuple[ModuleType, Any]) -> None:
    module, tenants = backend
    name = module.name_of("42")
    here.start()
    here.apply(template())
    await tenants.ensure("42", "standard", limits={"connections": 3})
    first = await tenants.give_token("42", "phone")
    laptop = await tenants.give_token("42", "laptop")
    assert hashes(here, name) == {"phone": token_hex(first), "laptop": token_hex(laptop)}
    await here.phase(name, "Asleep")

    await tenants.ensure("42", "standard", limits={"connections": 3})
    second = await tenants.give_token("42", "phone")
    assert hashes(here, name) == {"phone": token_hex(second), "laptop": token_hex(laptop)}
    await tenants.take_token("42", "phone")
    assert hashes(here, name) == {"laptop": token_hex(laptop)}

    await tenants.change("42", power="Suspended")
    await here.phase(name, "Suspended")
    assert hashes(here, name) == {"laptop": token_hex(laptop)}
    await tenants.remove("42")
    await tenants.remove("42")
    await eventually(lambda: here.get("tenants", name) is None, SOON)


async def test_states_are_followed(here: World, backend: tuple[ModuleType, Any]) -> None:
    module, tenants = backend
    here.start()
    seen: dict[str, Any] = {}

    async def follow() -> None:
        async for state in tenants.follow():
            seen[state.user_id] = state

    following = asyncio.create_task(follow())
    try:
        await tenants.ensure("42", "missing")
        await eventually(lambda: "'missing'" in getattr(seen.get("42"), "trouble", ""), SOON)
        here.apply(template(name="missing"))
        asleep = module.State("42", "Asleep", True, "")
        await eventually(lambda: seen.get("42") == asleep, SOON)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_wrong_user_is_refused_with_the_fix(backend: tuple[ModuleType, Any]) -> None:
    _, tenants = backend
    with pytest.raises(ApiException, match="letters, digits and any of"):
        await tenants.ensure(USER, "standard")


async def test_a_token_for_nobody_makes_no_tenant(here: World, backend: tuple[ModuleType, Any]) -> None:
    _, tenants = backend
    with pytest.raises(ApiException, match="userId"):
        await tenants.give_token("nobody", "phone")
    assert here.items("tenants") == []
