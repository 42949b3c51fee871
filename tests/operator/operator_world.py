"""The operator as a process against a real API server, and what tests say to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from cluster.api import ApiError
from cluster.fixtures import Cluster
from deadlines import eventually, eventually_sync
from ports import free_port
from tenant_api.kubernetes_names import GROUP, VERSION, child_name, gateway_labels
from tenant_api.tokens import token_hex

REPOSITORY = Path(__file__).parents[2]
SOON = 60.0
"""Seconds within which an operator has done what takes it milliseconds, on a machine with much else to do."""
MASTER_KEY = b"k" * 32
IMAGE = "localhost/gateway:test"
APIS = f"/apis/{GROUP}/{VERSION}/namespaces"


def install_crds(cluster: Cluster) -> None:
    """Have the CRDs established."""
    for plural in ("tenants", "tenanttemplates"):
        cluster.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", str(REPOSITORY / "crds" / f"{plural}.yaml")
        )
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{GROUP}", "--timeout=20s")


def template(name: str = "standard", version: str = "1", **spec: Any) -> dict[str, Any]:
    """Return a TenantTemplate."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TenantTemplate",
        "metadata": {"name": name},
        "spec": {"version": version, "image": IMAGE, "volume": {"size": "1Gi"}, **spec},
    }


def tenant(name: str, token: str = "", template: str = "standard", **spec: Any) -> dict[str, Any]:
    """Return a Tenant whose token is its name, unless another is given."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {
            "userId": f"user-{name}",
            "templateRef": {"name": template},
            "tokens": [{"name": "phone", "sha256": token_hex(token or name)}],
            **spec,
        },
    }


@dataclass
class World:
    """One namespace of an API server."""

    cluster: Cluster
    namespace: str
    tmp: Path
    running: list[Running] = field(default_factory=list)

    def apply(self, *objects: dict[str, Any]) -> None:
        self.cluster.kubectl.apply(*objects, namespace=self.namespace)

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None."""
        try:
            return self.cluster.api.request("GET", _path(kind, self.namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, kind: str) -> list[dict[str, Any]]:
        found = self.cluster.api.request("GET", _path(kind, self.namespace, ""))["items"]
        assert isinstance(found, list)
        return found

    def patch(self, kind: str, name: str, patch: dict[str, Any], subresource: str = "") -> dict[str, Any]:
        path = _path(kind, self.namespace, name) + (f"/{subresource}" if subresource else "")
        return self.cluster.api.request("PATCH", path, patch, "application/merge-patch+json")

    def delete(self, kind: str, name: str) -> None:
        self.cluster.api.request("DELETE", _path(kind, self.namespace, name))

    def status(self, name: str, kind: str = "tenants") -> dict[str, Any]:
        return (self.get(kind, name) or {}).get("status") or {}

    def condition(self, name: str, type: str, kind: str = "tenants") -> dict[str, Any]:
        return next((one for one in self.status(name, kind).get("conditions", []) if one["type"] == type), {})

    async def phase(self, name: str, phase: str, timeout: float = SOON) -> dict[str, Any]:
        """Wait for a tenant's phase; return its status."""

        def reached() -> dict[str, Any]:
            status = self.status(name)
            assert status.get("phase") == phase, status
            return status

        return await eventually(reached, timeout, f"{name} is {phase}")

    async def said(
        self, name: str, type: str, status: str, reason: str, kind: str = "tenants", timeout: float = SOON
    ) -> str:
        """Wait for a condition; return its message."""

        def reached() -> dict[str, Any]:
            condition = self.condition(name, type, kind)
            assert (condition.get("status"), condition.get("reason")) == (status, reason), self.status(name, kind)
            return condition

        found = await eventually(reached, timeout, f"{name} is {type}={status} {reason}")
        assert found["observedGeneration"] == (self.get(kind, name) or {})["metadata"]["generation"]
        return str(found["message"])

    async def second_later(self, name: str) -> None:
        """Wait until a tenant that is made now is younger than this one: the API server's clock counts whole seconds."""
        made = datetime.fromisoformat((self.get("tenants", name) or {})["metadata"]["creationTimestamp"])
        await eventually(lambda: datetime.now(UTC) >= made + timedelta(seconds=1), SOON, f"a second after {name}")

    async def followed(self, name: str, message: str) -> None:
        """Wait until a template says this of its tenants; it counts them a few seconds after the last one came."""
        await eventually(
            lambda: self.condition(name, "Followed", "tenanttemplates").get("message") == message, SOON, message
        )

    def replicas(self, name: str) -> int | None:
        deployment = self.get("deployments", child_name(name))
        return deployment["spec"]["replicas"] if deployment is not None else None

    def config(self, name: str) -> dict[str, Any]:
        """The rendered config of a tenant."""
        import base64

        secret = self.get("secrets", child_name(name))
        assert secret is not None
        found = json.loads(base64.b64decode(secret["data"]["openclaw.json"]))
        assert isinstance(found, dict)
        return found

    def scale(self, name: str, replicas: int) -> None:
        """What the router does."""
        self.patch("deployments", child_name(name), {"spec": {"replicas": replicas}}, "scale")

    async def pod(self, name: str) -> dict[str, Any]:
        """Wait for the tenant's pod."""

        def there() -> dict[str, Any] | None:
            wanted = gateway_labels(name).items()
            pods = [pod for pod in self.items("pods") if wanted <= pod["metadata"].get("labels", {}).items()]
            living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            return living[0] if living else None

        return await eventually(there, SOON, f"a pod of {name}")

    async def play_kubelet(self, name: str, ip: str = "10.9.8.7") -> dict[str, Any]:
        """Say of a tenant's pod that it runs and is ready, as its kubelet would."""
        pod = await self.pod(name)
        now = "2026-01-01T00:00:00Z"
        status = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
        }
        return self.patch("pods", pod["metadata"]["name"], {"status": status}, "status")

    def provide_volume(self, name: str, storage_class: str = "") -> None:
        """Make a volume for a tenant's claim, as a provisioner would; the real controller binds them."""
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{self.namespace}-{name}"},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": storage_class,
                    "hostPath": {"path": "/nowhere"},
                    "claimRef": {"namespace": self.namespace, "name": child_name(name)},
                },
            }
        )

    def pod_is_gone(self, pod: dict[str, Any]) -> None:
        """Let a pod that is being deleted go, as its kubelet would."""
        path = _path("pods", self.namespace, pod["metadata"]["name"]) + "?gracePeriodSeconds=0"
        try:
            self.cluster.api.request("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def start(self, routers: str = "", **env: str) -> Running:
        """Start an operator for this namespace; it is stopped at the end of the test."""
        key = self.tmp / "master-key"
        key.write_bytes(MASTER_KEY)
        port = free_port()
        log = self.tmp / f"operator-{len(self.running)}.log"
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OPENCLAW_TENANCY_")},
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "OPENCLAW_TENANCY_NAMESPACES": self.namespace,
            "OPENCLAW_TENANCY_MASTER_KEY_FILE": str(key),
            "OPENCLAW_TENANCY_HEALTH": f"127.0.0.1:{port}",
            "OPENCLAW_TENANCY_POLL": "250ms",
            "OPENCLAW_TENANCY_ROUTER_ADMIN": routers,
            **{f"OPENCLAW_TENANCY_{name}": value for name, value in env.items()},
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tenant_operator"], env=environ, stdout=output, stderr=subprocess.STDOUT
            )
        running = Running(process, port, log)
        self.running.append(running)
        return running

    def stop(self) -> None:
        for running in self.running:
            running.stop()


@dataclass
class Running:
    """One operator process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def health(self, path: str) -> tuple[int, bytes]:
        """Ask its own port; status 0 while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def ready(self) -> dict[str, Any]:
        status, body = self.health("/readyz")
        return msgspec.json.decode(body) if status else {}

    def leads(self) -> bool:
        return bool(self.ready().get("leading"))

    def calls(self, *verbs: str) -> float:
        """How often it has called the API server with these verbs; Leases and Events are left out."""
        total = 0.0
        for line in self.health("/metrics")[1].decode().splitlines():
            ours = line.startswith("openclaw_tenancy_operator_api_calls_total{")
            counted = ours and "leases" not in line and 'resource="events"' not in line
            if counted and any(f'verb="{verb}"' in line for verb in verbs):
                total += float(line.rpartition(" ")[2])
        return total

    def reconciled(self) -> float:
        """How many reconciles of tenants it has done."""
        lines = self.health("/metrics")[1].decode().splitlines()
        done = 'openclaw_tenancy_operator_reconciles_total{kind="tenant",outcome="done"} '
        return next((float(line.removeprefix(done)) for line in lines if line.startswith(done)), 0.0)

    def writes(self) -> float:
        return self.calls("apply", "patch", "create", "update", "delete")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(15)
                raise AssertionError(f"the operator did not end:\n{self.log.read_text()[-4000:]}") from None
        return self.process.returncode


def _path(kind: str, namespace: str, name: str) -> str:
    if kind in ("tenants", "tenanttemplates"):
        root = f"{APIS}/{namespace}"
    elif kind in ("deployments", "replicasets"):
        root = f"/apis/apps/v1/namespaces/{namespace}"
    elif kind == "networkpolicies":
        root = f"/apis/networking.k8s.io/v1/namespaces/{namespace}"
    elif kind == "leases":
        root = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}"
    else:
        root = f"/api/v1/namespaces/{namespace}"
    return f"{root}/{kind}/{name}".rstrip("/")


@contextmanager
def world(cluster: Cluster, namespace: str, tmp: Path) -> Iterator[World]:
    """A world whose operators end with it."""
    made = World(cluster, namespace, tmp)
    try:
        yield made
    finally:
        made.stop()


__all__ = ["SOON", "Running", "World", "eventually", "eventually_sync", "install_crds", "template", "tenant", "world"]
