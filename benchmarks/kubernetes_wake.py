"""What does a wake cost on Kubernetes? From a client's connect to its hello, by phase, beside scaling → Ready of that Deployment.

A real router process (`python -m tenant_router`) and a tenant whose objects the operator's own builders make. The peer is
what `kubectl scale` does: the same PATCH, then a watch until the kubelet calls the pod Ready. Both take turns, on one machine.
Needs KUBECONFIG of a cluster whose pod addresses are routed from here (tests/cluster/README.md) and the gateway's image in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import connect

from load.login import LOGIN
from load.report import Report
from tenant_api.apiserver_errors import ApiRefused
from tenant_api.kubernetes_names import GROUP, TEMPLATES, TENANTS, VERSION, child_name, gateways_selector
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_api.tokens import new_token, token_hex
from tenant_operator.objects.claim import build_claim
from tenant_operator.objects.deployment import asleep_at_birth, build_deployment
from tenant_operator.objects.secret import GatewayDoor, build_secret
from tenant_operator.objects.service_account import GATEWAY_ACCOUNT
from tenant_router.kubernetes.access import ApiAccess
from tenant_router.kubernetes.client import ApiServer

MASTER_KEY = secrets.token_bytes(32)
NAME = "ann"
GIVE_UP = 60.0
"""Seconds until a wake that did not come about ends the run."""
SETTLE = 1.0
"""Seconds after the last pod is gone: the kubelet still unmounts, which is no part of the next wake."""
WAKE_PHASES = ("admitted", "patched", "pod", "scheduled", "address", "listening", "ready")


@dataclass
class Stage:
    """A namespace with one tenant, asleep."""

    api: ApiServer
    namespace: str
    image: str
    token: str

    def path(self, plural: str, name: str = "", sub: str = "") -> str:
        """Return the path of a resource in the namespace."""
        bases = {
            TENANTS: f"/apis/{GROUP}/{VERSION}",
            TEMPLATES: f"/apis/{GROUP}/{VERSION}",
            "deployments": "/apis/apps/v1",
        }
        return "/".join(
            part for part in (bases.get(plural, "/api/v1"), "namespaces", self.namespace, plural, name, sub) if part
        )

    async def create(self, plural: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object and return it."""
        return dict(json.loads(await self.api.request("POST", self.path(plural), body=body)))

    async def pods(self) -> list[dict[str, Any]]:
        """Return the gateway's pods."""
        selector = {"labelSelector": gateways_selector()}
        return list(json.loads(await self.api.request("GET", self.path("pods"), params=selector))["items"])

    async def scale(self, replicas: int) -> None:
        """Scale the Deployment, by the PATCH that `kubectl scale` sends."""
        path, body = self.path("deployments", child_name(NAME), "scale"), {"spec": {"replicas": replicas}}
        await self.api.request("PATCH", path, body=body, content_type="application/merge-patch+json")

    async def asleep(self) -> None:
        """Put the tenant to sleep and wait until its pod is gone."""
        await self.scale(0)
        async with asyncio.timeout(GIVE_UP):
            while await self.pods():
                await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE)

    async def furnish(self) -> None:
        """Make namespace, template, tenant and what the operator makes of them."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        body = {"metadata": {"name": self.namespace, "labels": labels}}
        await self.api.request("POST", "/api/v1/namespaces", body=body)
        for account in ("default", GATEWAY_ACCOUNT):
            with suppress(ApiRefused):  # the controllers were quicker
                await self.create("serviceaccounts", {"metadata": {"name": account}})
        spec = {"version": "1", "image": self.image, "wake": {"timeout": f"{GIVE_UP:.0f}s"}, "volume": {"size": "1Gi"}}
        template = await self.create(TEMPLATES, self._ours("TenantTemplate", "standard", spec))
        tokens = [{"name": "bench", "sha256": token_hex(self.token)}]
        wanted = {"userId": NAME, "templateRef": {"name": "standard"}, "tokens": tokens}
        made = await self.create(TENANTS, self._ours("Tenant", NAME, wanted))
        kind, tenant = TenantTemplate.model_validate(template), Tenant.model_validate(made)
        door = GatewayDoor(MASTER_KEY, ("0.0.0.0/0",))
        await self.create("persistentvolumeclaims", build_claim(tenant, kind))
        await self.create("secrets", build_secret(tenant, kind, door))
        await self.create("deployments", asleep_at_birth(build_deployment(tenant, kind, self.image)))

    def _ours(self, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}


@dataclass
class RouterProcess:
    """`python -m tenant_router`."""

    process: asyncio.subprocess.Process
    url: str
    admin: str

    async def why(self, namespace: str) -> dict[str, Any]:
        """Return what it says of the tenant."""
        address = f"{self.admin}/why/{namespace}/{NAME}"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            return dict(await answer.json())

    @property
    def rss(self) -> float:
        """MiB of memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


@asynccontextmanager
async def router(namespace: str, folder: Path) -> AsyncIterator[RouterProcess]:
    """Run a router while the block runs."""
    key, log = folder / "master-key", folder / "router.log"
    key.write_bytes(MASTER_KEY)
    environ = {
        **os.environ,
        "OPENCLAW_TENANCY_NAMESPACES": namespace,
        "OPENCLAW_TENANCY_MASTER_KEY_FILE": str(key),
        "OPENCLAW_TENANCY_LISTEN": "127.0.0.1:0",
        "OPENCLAW_TENANCY_ADMIN": "127.0.0.1:0",
        "OPENCLAW_TENANCY_LOG_LEVEL": "WARNING",
    }
    argv = (sys.executable, "-m", "tenant_router")
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *argv, env=environ, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(GIVE_UP):
            line = (await process.stdout.readline()).decode()
        if not line.startswith("ready:"):
            raise SystemExit(f"the router did not start: {log.read_text()}")
        url, admin = (part.rpartition(" ")[2] for part in line.strip().split(", "))
        yield RouterProcess(process, url, admin)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        sys.stderr.write(log.read_text())


async def wake_by_client(stage: Stage, one: RouterProcess, report: Report) -> float:
    """Connect as a client; note the phases; return the seconds from the client's connect to its hello."""
    params = {**LOGIN, "auth": {"token": stage.token}}
    begun = time.perf_counter()
    async with connect(one.url, compression=None, max_size=None, open_timeout=GIVE_UP) as ws:
        await ws.recv()
        asked = time.time()
        await ws.send(json.dumps({"type": "req", "id": "1", "method": "connect", "params": params}))
        answer = json.loads(await ws.recv())
        took, said = time.perf_counter() - begun, time.time()
        if not answer["ok"]:
            raise SystemExit(f"no hello: {answer['error']}; {(await one.why(stage.namespace))['lastFailure']}")
        wake = (await one.why(stage.namespace))["lastWake"]
    report.note("auth_ms", (wake["askedAt"] - asked) * 1e3)
    for phase in WAKE_PHASES:
        report.note(f"until_{phase}_ms", wake[phase] * 1e3)
    report.note("hello_ms", (said - wake["askedAt"] - wake["ready"]) * 1e3)
    return took


async def wake_by_scale(stage: Stage) -> float:
    """Scale to 1; return the seconds until the kubelet says that the pod is Ready."""
    selector = {"labelSelector": gateways_selector()}
    listed = json.loads(await stage.api.request("GET", stage.path("pods"), params=selector))
    watch = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"], **selector}
    begun = 0.0
    async for line in stage.api.lines(stage.path("pods"), watch):
        if not line:  # the watch stands
            begun = time.perf_counter()
            await stage.scale(1)
            continue
        pod = json.loads(line)["object"]
        conditions = pod.get("status", {}).get("conditions", [])
        if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            return time.perf_counter() - begun
    raise SystemExit("the watch ended before the pod was ready")


async def measure(args: argparse.Namespace) -> None:
    """Run all rounds."""
    report = Report("kubectl")
    api = ApiServer(await ApiAccess.load())
    stage = Stage(api, f"bench-{secrets.token_hex(3)}", args.image, new_token())
    with tempfile.TemporaryDirectory() as folder:
        try:
            await stage.furnish()
            async with router(stage.namespace, Path(folder)) as one:
                await wake_by_scale(stage)  # the first wake binds the volume and loads the image's pages
                await stage.asleep()
                for turn in range(args.rounds):
                    times: dict[str, float] = {}
                    for who in ("client", "scale") if turn % 2 == 0 else ("scale", "client"):
                        async with asyncio.timeout(GIVE_UP):
                            waking = wake_by_client(stage, one, report) if who == "client" else wake_by_scale(stage)
                            times[who] = await waking
                        await stage.asleep()
                    report.compare("wake_ms", "wake", times["client"] * 1e3, times["scale"] * 1e3)
                    both = f"{times['client'] * 1e3:.0f} ms to hello, {times['scale'] * 1e3:.0f} ms to Ready"
                    print(f"round {turn + 1}: {both}", flush=True)
                report.note("router_rss_mib", one.rss)
        finally:
            with suppress(ApiRefused):
                await api.request("DELETE", f"/api/v1/namespaces/{stage.namespace}")
            await api.close()
    report.finish(args.json)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--image", default="localhost/openclaw-tenancy-gateway:dev", help="the native gateway's image")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if "KUBECONFIG" not in os.environ:
        raise SystemExit("KUBECONFIG is not set: start a cluster as tests/cluster/README.md says")
    asyncio.run(measure(args))


if __name__ == "__main__":
    main()
