"""Routers under a real Deployment controller and behind real EndpointSlices; the test plays their kubelet and kube-proxy.

Deployment and Service are the chart's own. A pod of it is `python -m tenant_router` on a loopback address, told what the chart
tells it, ended as a kubelet ends it: preStop, SIGTERM, and SIGKILL when its time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_process import router_environ, start_router
from kubernetes_world import Cluster
from ruamel.yaml import YAML

from tenant_api.apiserver_errors import ApiError

CHART = Path(__file__).parents[2] / "charts" / "openclaw-tenancy"
LOOK = 0.1
"""Seconds between two looks of the played kubelet and kube-proxy."""


def chart_objects(rendered: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the routers' Deployment and Service as the chart has them."""
    objects = [found for found in YAML(typ="safe").load_all(rendered) if found]
    (deployment,) = (
        one for one in objects if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("-router")
    )
    (service,) = (one for one in objects if one["kind"] == "Service" and one["metadata"]["name"].endswith("-router"))
    return deployment, service


@dataclass
class Replica:
    """One router pod."""

    name: str
    host: str
    process: asyncio.subprocess.Process | None = None
    ready: bool = False
    terminating: float = 0.0
    """When SIGTERM was sent (time.monotonic)."""

    @property
    def admin(self) -> str:
        return f"http://{self.host}:18790"


@dataclass
class Routers:
    """The kubelet of the router pods.

    `pull` is how long a new pod takes before its process starts: its image comes first.
    """

    cluster: Cluster
    folder: Path
    deployment: dict[str, Any]
    service: dict[str, Any]
    pull: float = 0.0
    replicas: dict[str, Replica] = field(default_factory=dict)
    gone: list[Replica] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    """What a kubelet should not meet."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _made: int = 0

    @property
    def serving(self) -> list[Replica]:
        """Replicas that are not ending."""
        if self.failed:
            raise self.failed[0]
        return [one for one in self.replicas.values() if one.ready and not one.terminating]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Routers]:
        """Make the Deployment and run its pods while the block runs."""
        spec = self.deployment["spec"]["template"]["spec"]
        spec["serviceAccountName"] = "default"
        for kind, body in (("deployments", self.deployment), ("services", self.service)):
            await self.cluster.create(kind, {"metadata": {"name": body["metadata"]["name"]}, "spec": body["spec"]})
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for one in self._tasks:
                one.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for replica in self.replicas.values():
                if replica.process is not None and replica.process.returncode is None:
                    replica.process.kill()
                    await replica.process.wait()

    async def restart(self) -> None:
        """Begin what `kubectl rollout restart` begins."""
        annotations = {"kubectl.kubernetes.io/restartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        body = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        await self.cluster.patch("deployments", self.deployment["metadata"]["name"], body)

    async def lead_to_sleep(self, key: str, uid: str) -> int:
        """Lead the suspend conversation with all replicas as the operator does; return how many clients are parked."""
        async with aiohttp.ClientSession() as session:

            async def step(replica: Replica, name: str) -> dict[str, Any]:
                body = {"step": name, "uid": uid}
                async with session.post(f"{replica.admin}/suspend/{key}", json=body) as answer:
                    assert answer.status == 200, await answer.text()
                    found: dict[str, Any] = await answer.json()
                    return found

            for replica in self.serving:
                fenced = await step(replica, "fence")
                if not fenced["quiet"]:
                    await asyncio.gather(*(step(one, "open") for one in self.serving))
                    return 0
            prepared = await step(self.serving[0], "prepare")
            assert prepared["status"] == "ready", prepared
            parked = [await step(replica, "park") for replica in self.serving]
            return sum(one["parked"] for one in parked)

    async def _run(self) -> None:
        labels = self.deployment["spec"]["selector"]["matchLabels"]
        selector = {"labelSelector": ",".join(f"{name}={value}" for name, value in labels.items())}
        while True:
            with contextlib.suppress(ApiError):
                body = await self.cluster.api.request("GET", self.cluster.path("pods"), params=selector)
                for pod in json.loads(body)["items"]:
                    name = pod["metadata"]["name"]
                    if name not in self.replicas:
                        self._made += 1
                        self.replicas[name] = Replica(name, f"127.77.0.{self._made}")
                        self._do(self._start(pod, self.replicas[name]))
                    elif "deletionTimestamp" in pod["metadata"] and not self.replicas[name].terminating:
                        self.replicas[name].terminating = time.monotonic()
                        self._do(self._end(pod, self.replicas[name]))
            await asyncio.sleep(LOOK)

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._did)

    def _did(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed.append(RuntimeError(f"the played kubelet: {error!r}"))

    async def _start(self, pod: dict[str, Any], replica: Replica) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": "played-by-a-test"}
        path = self.cluster.path("pods", replica.name, "binding")
        await self.cluster.api.request("POST", path, body={"metadata": {"name": replica.name}, "target": target})
        await asyncio.sleep(self.pull)
        told = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
        environ = {
            **told,
            **router_environ(self.cluster.namespace, self.folder),
            "OPENCLAW_TENANCY_LISTEN": f"{replica.host}:18789",
            "OPENCLAW_TENANCY_ADMIN": f"{replica.host}:18790",
        }
        log = self.folder / f"{replica.name}.log"
        replica.process = await start_router(environ, log)
        probe = pod["spec"]["containers"][0]["readinessProbe"]["periodSeconds"]
        while not replica.ready:
            await asyncio.sleep(probe)
            assert replica.process.returncode is None, log.read_text()
            async with aiohttp.ClientSession() as session:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{replica.admin}/readyz") as answer:
                        replica.ready = answer.status == 200
        await self._say_ready(replica)

    async def _say_ready(self, replica: Replica) -> None:
        # API servers refuse loopback addresses in EndpointSlices, so it says another one.
        ip = replica.host.replace("127.77", "10.77")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")
        ]
        status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions}
        await self.cluster.patch("pods", replica.name, {"status": status}, "status")

    async def _end(self, pod: dict[str, Any], replica: Replica) -> None:
        spec = pod["spec"]
        end = time.monotonic() + spec["terminationGracePeriodSeconds"]
        await asyncio.sleep(spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"])
        assert replica.process is not None
        replica.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(end - time.monotonic()):
                await replica.process.wait()
        except TimeoutError:
            replica.process.kill()
            await replica.process.wait()
        await self.cluster.delete("pods", replica.name)
        self.gone.append(self.replicas[replica.name])


class ServiceFront:
    """The kube-proxy: each new connection goes to one of the ready endpoints at random, and stays there."""

    def __init__(self, cluster: Cluster, service: str) -> None:
        self._cluster = cluster
        self._service = service
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.hosts: list[str] = []

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ServiceFront]:
        """Run it while the block runs."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1000)
        task = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            self._server.close()
            for one in (task, *self._open):
                one.cancel()
            await asyncio.gather(task, *self._open, return_exceptions=True)

    async def _watch(self) -> None:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self._cluster.namespace}/endpointslices"
        selector = {"labelSelector": f"kubernetes.io/service-name={self._service}"}
        while True:
            with contextlib.suppress(ApiError):
                slices = json.loads(await self._cluster.api.request("GET", path, params=selector))["items"]
                endpoints = [one for found in slices for one in found.get("endpoints") or ()]
                ready = [one["addresses"][0] for one in endpoints if one["conditions"].get("ready")]
                self.hosts = [address.replace("10.77", "127.77") for address in ready]
            await asyncio.sleep(LOOK)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(random.choice(self.hosts), 18789)
            writers.append(far_writer)
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in writers:
                one.close()
            self._open.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
