"""A real API server whose controllers, scheduler and kubelet are played by the test; the gateways are real processes.

Programs that no test can wait for are played here: `Node` sees a Deployment's scale change, makes the pod, says where it
runs and which address it has, just as controller-manager, scheduler and kubelet do, and starts a native gateway there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from native_world import NativeGateway
from router_world import Client

from deadlines import eventually
from tenant_api.config.gateway_settings import GatewaySettings
from tenant_api.identity import identity_secret, identity_user
from tenant_api.kubernetes_names import GROUP, TEMPLATES, TENANTS, VERSION, child_name, gateway_labels
from tenant_api.tokens import new_token, token_hex
from tenant_router.kubernetes.access import ApiAccess
from tenant_router.kubernetes.client import ApiServer
from tenant_router.kubernetes.errors import ApiError, ApiRefused
from tenant_router.kubernetes.serve import compose
from tenant_router.kubernetes.settings import KubernetesSettings
from tenant_router.kubernetes.why import tell
from tenant_router.settings import RouterSettings

MASTER_KEY = b"the master key of these tests, 32+"
MERGE = "application/merge-patch+json"
PAUSE = 0.02


@dataclass
class Cluster:
    """One namespace of a real API server, as its operator and admin see it."""

    api: ApiServer
    namespace: str
    tokens: dict[str, str] = field(default_factory=dict)

    def path(self, plural: str, name: str = "", sub: str = "") -> str:
        base = {
            TENANTS: f"/apis/{GROUP}/{VERSION}",
            TEMPLATES: f"/apis/{GROUP}/{VERSION}",
            "deployments": "/apis/apps/v1",
        }
        parts = [base.get(plural, "/api/v1"), "namespaces", self.namespace, plural, name, sub]
        return "/".join(part for part in parts if part)

    async def create(self, plural: str, body: dict[str, Any]) -> dict[str, Any]:
        return _json(await self.api.request("POST", self.path(plural), body=body))

    async def get(self, plural: str, name: str, sub: str = "") -> dict[str, Any]:
        return _json(await self.api.request("GET", self.path(plural, name, sub)))

    async def patch(self, plural: str, name: str, body: dict[str, Any], sub: str = "") -> dict[str, Any]:
        path = self.path(plural, name, sub)
        return _json(await self.api.request("PATCH", path, body=body, content_type=MERGE))

    async def delete(self, plural: str, name: str) -> None:
        with contextlib.suppress(ApiRefused):
            await self.api.request("DELETE", self.path(plural, name), body={"gracePeriodSeconds": 0})

    async def template(self, wake: str = "20s", **spec: Any) -> None:
        """Make the template that all tenants of these tests follow."""
        body = {"version": "1", "runtime": "native", "wake": {"timeout": wake, "plan": "standard"}, **spec}
        await self.create(TEMPLATES, _object("TenantTemplate", "standard", body))

    async def template_wake(self, timeout: str) -> None:
        """Change how long a wake may take."""
        await self.patch(TEMPLATES, "standard", {"spec": {"wake": {"timeout": timeout}}})

    async def quota(self, name: str, pods: int) -> None:
        """Make a ResourceQuota, as its controller would have filled it in."""
        hard = {"pods": str(pods)}
        await self.create("resourcequotas", {"metadata": {"name": name}, "spec": {"hard": hard}})
        status = {"status": {"hard": hard, "used": {"pods": "0"}}}
        await self.patch("resourcequotas", name, status, "status")

    async def tenant(self, name: str, provisioned: bool = True, token: str | None = None, **spec: Any) -> str:
        """Make a tenant, asleep, and return its token; without an operator the Deployment is made here."""
        token = self.tokens[name] = token or new_token()
        tokens = [{"name": "phone", "sha256": token_hex(token)}]
        body = {"userId": name, "templateRef": {"name": "standard"}, "tokens": tokens, **spec}
        await self.create(TENANTS, _object("Tenant", name, body))
        if provisioned:
            await self.deployment(name)
        return token

    async def deployment(self, name: str) -> None:
        labels = gateway_labels(name)
        container = {"name": "gateway", "image": "localhost/gateway:1", "imagePullPolicy": "Never"}
        spec = {
            "replicas": 0,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }
        meta = {"name": child_name(name), "labels": labels}
        await self.create("deployments", {"metadata": meta, "spec": spec})

    async def edit(self, name: str, **spec: Any) -> None:
        """Change a tenant."""
        await self.patch(TENANTS, name, {"spec": spec})

    async def replicas(self, name: str) -> int:
        scale = await self.get("deployments", child_name(name), "scale")
        return int(scale["spec"].get("replicas", 0))

    async def warn(self, kind: str, name: str, reason: str, message: str, uid: str = "") -> None:
        """Write an event as a controller or kubelet does."""
        about = {"kind": kind, "name": name, "namespace": self.namespace, "uid": uid}
        meta = {"generateName": f"{name}."}
        body = {"metadata": meta, "involvedObject": about, "reason": reason, "message": message, "type": "Warning"}
        await self.create("events", body)


@dataclass
class Node:
    """Controllers, scheduler and kubelet for one namespace."""

    cluster: Cluster
    folder: Path
    gateways: dict[str, NativeGateway] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The running pod of each tenant."""
    broken: Callable[[str], Any] | None = None
    """Says of a tenant what to do in the place of starting its gateway: an async function of its name."""
    made: int = 0
    prepared: dict[str, NativeGateway] = field(default_factory=dict)
    """Gateways that run already, and get their pod when it is asked for."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Node]:
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for gateway in [*self.gateways.values(), *self.prepared.values()]:
                await gateway.kill()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(ApiError):
                for name in self.cluster.tokens:
                    await self._reconcile(name)
            await asyncio.sleep(PAUSE)

    async def _reconcile(self, name: str) -> None:
        try:
            wanted = await self.cluster.replicas(name)
        except ApiRefused:
            return
        if wanted and name not in self.pods:
            await (self.broken(name) if self.broken is not None else self.serve(name))
        elif not wanted and name in self.pods:
            await self.remove(name)

    async def serve(self, name: str) -> None:
        """Make a tenant's pod and let its gateway run there."""
        gateway = self.prepared.pop(name, None) or await self.gateway(name)
        await self.pod(name, gateway.port)
        self.gateways[name] = gateway
        await self.status(name, phase="Running", podIP="127.0.0.1", podIPs=[{"ip": "127.0.0.1"}])

    async def prepare(self, name: str) -> NativeGateway:
        """Start a tenant's gateway before it is asked for, so that a test measures the fleet and not Python's start."""
        self.prepared[name] = await self.gateway(name)
        return self.prepared[name]

    async def gateway(self, name: str) -> NativeGateway:
        tenant = await self.cluster.get(TENANTS, name)
        user = identity_user(name, identity_secret(MASTER_KEY, tenant["metadata"]["uid"]))
        settings = GatewaySettings(
            user, bind="loopback", trusted_proxies=("127.0.0.1",), allow_loopback=True, runtime="native"
        )
        overlay = settings.overlay()
        config = {"gateway": {key: value for key, value in overlay.items() if value is not None}}
        self.made += 1
        return await NativeGateway(self.folder / f"{name}-{self.made}", config).start()

    async def pod(self, name: str, port: int = 18789, **spec: Any) -> dict[str, Any]:
        """Make a tenant's pod and give it a node."""
        ports = [{"name": "gateway", "containerPort": port}]
        container = {"name": "gateway", "image": "localhost/gateway:1", "ports": ports}
        body = {
            "metadata": {"generateName": f"{child_name(name)}-5d4f9c-", "labels": gateway_labels(name)},
            "spec": {
                "containers": [container],
                "nodeName": "node-1",
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                **spec,
            },
        }
        self.pods[name] = await self.cluster.create("pods", body)
        return self.pods[name]

    async def status(self, name: str, **status: Any) -> None:
        """Say how a tenant's pod is, as a kubelet does."""
        await self.cluster.patch("pods", self.pods[name]["metadata"]["name"], {"status": status}, "status")

    async def waiting(self, name: str, reason: str, message: str, **more: Any) -> None:
        """Say that its container waits, and why."""
        state = {"waiting": {"reason": reason, "message": message}}
        container = {"name": "gateway", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        await self.status(name, phase="Pending", containerStatuses=[{**container, **more}])

    async def ready(self, name: str) -> None:
        await self.status(name, conditions=[{"type": "Ready", "status": "True"}])

    async def remove(self, name: str) -> None:
        """End a tenant's pod."""
        pod = self.pods.pop(name)
        gateway = self.gateways.pop(name, None)
        if gateway is not None:
            await gateway.stop()
        await self.cluster.delete("pods", pod["metadata"]["name"])


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _json(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body)
    return found


class Line:
    """The network between a router and its API server, which a test can cut: connections reset, new ones refused."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"{self._target.scheme}://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        assert self._target.hostname is not None
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, far_writer):
                one.transport.abort()
            self._open.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class RunningRouter:
    """A router with its Kubernetes fleet, in this process."""

    def __init__(self, cluster: Cluster, access: ApiAccess, **settings: Any) -> None:
        router = RouterSettings(listen=("127.0.0.1", 0), admin=("127.0.0.1", 0), drain_timeout=2.0, **settings)
        self.api = ApiServer(access)
        chosen = KubernetesSettings((cluster.namespace,), MASTER_KEY, router, "INFO")
        self.router, self.fleet = compose(self.api, chosen)
        self._namespace = cluster.namespace

    @property
    def address(self) -> tuple[str, int]:
        return self.router.address

    async def start(self) -> RunningRouter:
        async with asyncio.timeout(20):
            await self.fleet.start()
        self.router.start()
        return self

    async def stop(self) -> None:
        await self.router.close()
        await self.fleet.stop()
        await self.api.close()

    def why(self, name: str) -> dict[str, Any]:
        entry = self.fleet.registry.get(f"{self._namespace}/{name}")
        assert entry is not None
        return tell(self.router, self.fleet, entry)

    def failures(self, cause: str) -> float:
        found = self.router.metrics.registry.get_sample_value("openclaw_router_wake_failures_total", {"cause": cause})
        return found or 0.0


async def known(running: RunningRouter, cluster: Cluster, name: str) -> None:
    await eventually(lambda: running.fleet.knows(f"{cluster.namespace}/{name}"), 5, f"the router knows {name}")


async def hello(running: RunningRouter, token: str) -> Client:
    client = await Client.open(running)
    answer = await client.hello(token)
    assert answer["ok"], answer
    return client
