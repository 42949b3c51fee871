"""A real API server with its controllers, whose scheduler and kubelet the test plays; the gateways are real processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from native_world import NativeGateway
from router_world import Client

from deadlines import eventually
from tenant_api.apiserver_errors import ApiError, ApiRefused
from tenant_api.config.gateway_settings import GatewaySettings
from tenant_api.identity import identity_secret, identity_user
from tenant_api.kubernetes_names import (
    GATEWAY,
    GATEWAY_PORT,
    GROUP,
    RUN_AS,
    TEMPLATES,
    TENANT_LABEL,
    TENANTS,
    VERSION,
    child_name,
    gateway_labels,
    gateways_selector,
)
from tenant_api.tokens import new_token, token_hex
from tenant_router.kubernetes.access import ApiAccess
from tenant_router.kubernetes.client import ApiServer
from tenant_router.kubernetes.serve import compose
from tenant_router.kubernetes.settings import KubernetesSettings
from tenant_router.kubernetes.why import tell
from tenant_router.settings import RouterSettings

MASTER_KEY = b"the master key of these tests, 32+"
MERGE = "application/merge-patch+json"
NODE = "played-by-a-test"
CRDS = Path(__file__).parents[2] / "crds"
PAUSE = 0.03
"""Seconds between two looks of the played node."""


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

    async def template(self, name: str = "standard", wake: str = "20s", **spec: Any) -> None:
        """Make a template; all tenants of these tests follow `standard`, unless they say another."""
        body = {"version": "1", "runtime": "native", "wake": {"timeout": wake, "plan": "standard"}, **spec}
        await self.create(TEMPLATES, _object("TenantTemplate", name, body))

    async def template_wake(self, timeout: str) -> None:
        """Change how long a wake may take."""
        await self.patch(TEMPLATES, "standard", {"spec": {"wake": {"timeout": timeout}}})

    async def quota(self, name: str, pods: int) -> None:
        """Make a ResourceQuota, and wait until its controller has seen it."""
        await self.create("resourcequotas", {"metadata": {"name": name}, "spec": {"hard": {"pods": str(pods)}}})

        async def seen() -> bool:
            return bool((await self.get("resourcequotas", name)).get("status", {}).get("hard"))

        await eventually(seen, 20, "the quota is in force")

    async def tenant(self, name: str, provisioned: bool = True, token: str | None = None, **spec: Any) -> str:
        """Make a tenant, asleep, and return its token; without an operator the Deployment is made here."""
        token = self.tokens[name] = token or new_token()
        tokens = [{"name": "phone", "sha256": token_hex(token)}]
        body = {"userId": name, "templateRef": {"name": "standard"}, "tokens": tokens, **spec}
        await self.create(TENANTS, _object("Tenant", name, body))
        if provisioned:
            await self.deployment(name)
        return token

    async def deployment(
        self, name: str, container: dict[str, Any] | None = None, pod: dict[str, Any] | None = None, **security: Any
    ) -> None:
        """Make a tenant's Deployment, asleep, as the operator does; a test may change its container, pod and security."""
        labels = gateway_labels(name)
        whole = {
            "name": GATEWAY,
            "image": "localhost/gateway:1",
            "imagePullPolicy": "Never",
            "ports": [{"name": GATEWAY, "containerPort": GATEWAY_PORT}],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "runAsUser": RUN_AS,
                "seccompProfile": {"type": "RuntimeDefault"},
                **security,
            },
            **(container or {}),
        }
        spec_of_pod = {
            "containers": [whole],
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            **(pod or {}),
        }
        spec = {
            "replicas": 0,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec_of_pod},
        }
        await self.create("deployments", {"metadata": {"name": child_name(name), "labels": labels}, "spec": spec})

    async def list_pods(self) -> list[dict[str, Any]]:
        """Return all gateway pods."""
        selector = {"labelSelector": gateways_selector()}
        items: list[dict[str, Any]] = _json(await self.api.request("GET", self.path("pods"), params=selector))["items"]
        return items

    async def scale(self, name: str, replicas: int) -> None:
        """Scale a tenant's Deployment, as the operator does at suspend."""
        await self.patch("deployments", child_name(name), {"spec": {"replicas": replicas}}, "scale")

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
    """Scheduler and kubelet: sees a pod that the controllers have made, starts its gateway and says where it is.

    Every pod has a loopback address of its own (127.x.y.z), so that a gateway's port is the same in all of them.
    """

    cluster: Cluster
    folder: Path
    broken: Broken | None = None
    """What is done with a new pod in the place of running it; it returns whether it is done with it."""
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Pods that were taken care of, by name."""
    gateways: dict[str, NativeGateway] = field(default_factory=dict)
    """By name of the pod."""
    made: int = 0
    """Gateways that were started."""
    models: dict[str, Any] | None = None
    """What else their config says; with it a tenant's state outlives its pods, as on its volume."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Node]:
        """Run it while the block runs."""
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for gateway in self.gateways.values():
                await gateway.kill()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(ApiError):  # a kubelet goes on while the API server is away
                for pod in await self.cluster.list_pods():
                    await self._sync(pod)
            await asyncio.sleep(PAUSE)

    async def _sync(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"]:
            await self._end(name)
        elif name not in self.pods:
            self.pods[name] = pod
            if self.broken is None:
                await self.run(pod)
            else:
                await self.broken(self, pod)

    async def run(self, pod: dict[str, Any]) -> None:
        """Schedule a pod and run its gateway."""
        await self.bind(pod)
        ip = await self.start(pod)
        await self.status(pod, phase="Running", podIP=ip, podIPs=[{"ip": ip}])

    async def bind(self, pod: dict[str, Any]) -> None:
        """Give a pod its node, as the scheduler does."""
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        body = {"metadata": {"name": pod["metadata"]["name"]}, "target": target}
        await self.cluster.api.request("POST", self.cluster.path("pods", pod["metadata"]["name"], "binding"), body=body)

    async def start(self, pod: dict[str, Any]) -> str:
        """Start a pod's gateway and return its address."""
        self.made += 1
        tenant = pod["metadata"]["labels"][TENANT_LABEL]
        uid = (await self.cluster.get(TENANTS, tenant))["metadata"]["uid"]
        user = identity_user(tenant, identity_secret(MASTER_KEY, uid))
        settings = GatewaySettings(
            user, bind="loopback", trusted_proxies=("127.0.0.1",), allow_loopback=True, runtime="native"
        )
        config = {"gateway": {key: value for key, value in settings.overlay().items() if value is not None}}
        config |= self.models or {}
        gateway = NativeGateway(self.folder / (pod["metadata"]["name"] if self.models is None else tenant), config)
        ip = f"127.{secrets.randbelow(250) + 2}.{secrets.randbelow(250) + 2}.{secrets.randbelow(250) + 2}"
        self.gateways[pod["metadata"]["name"]] = await gateway.start((ip, GATEWAY_PORT))
        return ip

    async def status(self, pod: dict[str, Any], **status: Any) -> None:
        """Say how a pod is, as a kubelet does."""
        await self.cluster.patch("pods", pod["metadata"]["name"], {"status": status}, "status")

    async def waiting(self, pod: dict[str, Any], reason: str, message: str, **more: Any) -> None:
        """Say that a pod's container waits, and why."""
        state = {"waiting": {"reason": reason, "message": message}}
        container = {"name": GATEWAY, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        await self.status(pod, phase="Pending", containerStatuses=[{**container, **more}])

    def pod_of(self, tenant: str) -> dict[str, Any]:
        """Return a tenant's newest pod that was taken care of and still is."""
        return [pod for pod in self.pods.values() if pod["metadata"]["labels"][TENANT_LABEL] == tenant][-1]

    async def _end(self, name: str) -> None:
        if (gateway := self.gateways.pop(name, None)) is not None:
            await gateway.stop()
        await self.cluster.delete("pods", name)
        self.pods.pop(name, None)


Broken = Callable[[Node, dict[str, Any]], Awaitable[None]]


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
        self._flows = asyncio.Event()
        self._flows.set()
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

    def freeze(self) -> None:
        """Let nothing pass on the connections that are open, without a word to either side; new ones work."""
        self._flows.clear()
        self._flows = asyncio.Event()
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        assert self._target.hostname is not None
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        try:
            flows = self._flows
            await asyncio.gather(_pump(reader, far_writer, flows), _pump(far_reader, writer, flows))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, far_writer):
                one.transport.abort()
            self._open.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
    while data := await reader.read(65536):
        await flows.wait()
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

    def wake_timeout(self, name: str) -> float:
        record = self.fleet.record(f"{self._namespace}/{name}")
        assert record is not None
        return record.wake_timeout

    def why(self, name: str) -> dict[str, Any]:
        entry = self.fleet.registry.get(f"{self._namespace}/{name}")
        assert entry is not None
        return tell(self.router, self.fleet, entry)

    def failures(self, cause: str) -> float:
        found = self.router.metrics.registry.get_sample_value("openclaw_router_wake_failures_total", {"cause": cause})
        return found or 0.0


async def known(running: RunningRouter, cluster: Cluster, name: str) -> None:
    await eventually(lambda: running.fleet.knows(f"{cluster.namespace}/{name}"), 5, f"the router knows {name}")


async def hello(running: Any, token: str) -> Client:
    client = await Client.open(running)
    answer = await client.hello(token)
    assert answer["ok"], answer
    return client


async def answers(client: Client) -> bool:
    """Tell whether a client's gateway answers, whatever it says unasked meanwhile (ticks)."""
    answer = await client.call("sessions.list")
    while answer["type"] != "res":
        answer = await client.recv()
    return bool(answer["ok"])
