"""One release of the chart on the cluster, its tenants, and the ways to talk to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.openclaw_cli import Finished, OpenClawCli
from cluster.abilities import Ability
from cluster.errors import CommandFailed
from cluster.fixtures import RESTRICTED, Cluster
from cluster.images.ours import REPOSITORY, TAG
from cluster.packets import PROBE, Target, Verdict
from cluster.programs import run
from deadlines import eventually
from e2e_cluster.forward import Forward
from openclaw_tenancy.demo.client import GatewayClient
from tenant_api.kubernetes_names import GROUP, TENANT_LABEL, VERSION, child_name
from tenant_api.tokens import token_hex
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

CHART = REPOSITORY / "charts" / "openclaw-tenancy"
HELM_SECONDS = 320.0
SOON = 90.0
"""Seconds for what takes controllers and the kubelet a second or two on a free machine."""
WAKE_SECONDS = 180.0
"""Seconds for a wake of upstream's gateway on a busy machine; 5 on a free one."""
NAME = "oct"
ADMIN_PORT = 18790
"""The routers' own."""


class ClusterCli(OpenClawCli):
    """Upstream's client; the path to the Service is this machine's own, so it may be plain text."""

    def program(self, *args: str, env: Mapping[str, str] | None = None) -> tuple[list[str], dict[str, str]]:
        return super().program(*args, env={"OPENCLAW_ALLOW_INSECURE_PRIVATE_WS": "1", **(env or {})})

    async def run(self, *args: str, timeout: float = 2 * WAKE_SECONDS) -> Finished:
        return await super().run(*args, timeout=timeout)


@dataclass
class Release:
    """`helm install` of the chart into `namespace`, with its tenants in another."""

    cluster: Cluster
    images: Mapping[str, str]
    """Names by target of the Dockerfile."""
    namespace: str
    tenants: str
    egress: tuple[str, ...] = ()
    """Where gateways may go besides public HTTPS: CIDR:port."""
    url: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    _forward: Forward | None = None

    def values(self, **more: Any) -> dict[str, Any]:
        """What differs from the chart's own values."""
        repository, _, tag = self.images["operator"].rpartition(":")
        prefix = repository.removesuffix("openclaw-tenancy-operator")
        return {
            "images": {"prefix": prefix, "tag": tag or TAG},
            "tenants": {"namespaces": [self.tenants], "egress": list(self.egress)},
            "operator": {"poll": "1s", "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
            "router": {"preStopSeconds": 1, "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
            "tests": {"storageClassName": self.storage_class},
            **more,
        }

    @property
    def storage_class(self) -> str:
        assert self.cluster.provider
        return self.cluster.provider.storage_class or ""

    @property
    def source(self) -> str | None:
        """The claim that tenants' volumes are cloned from; None where they can't be and start empty."""
        return "template" if Ability.CLONES in self.cluster.abilities else None

    def binds_late(self) -> bool:
        """Whether the class of the tenants' volumes binds a claim only once a pod wants it."""
        classes = self.cluster.kubectl.get("storageclass")["items"]
        for one in classes:
            default = (
                one["metadata"].get("annotations", {}).get("storageclass.kubernetes.io/is-default-class") == "true"
            )
            if one["metadata"]["name"] == self.storage_class or (default and not self.storage_class):
                return bool(one["volumeBindingMode"] == "WaitForFirstConsumer")
        raise AssertionError(f"no class {self.storage_class or 'that is the default'} among {len(classes)}")

    def helm(self, *words: str, values: Mapping[str, Any] | None = None) -> str:
        """Run helm; CommandFailed carries what it said."""
        assert self.cluster.provider
        argv = [self.cluster.provider.helm, "-n", self.namespace, *words]
        if values is not None:
            argv += ["-f", "-"]
        text = None if values is None else json.dumps(values)
        return run(argv, timeout=HELM_SECONDS, env=self.cluster.kubectl.env, input=text)

    def install(self, **more: Any) -> None:
        """Install or upgrade, and wait until all of it is ready."""
        # The CRDs are the cluster's and may be there by another release or by kubectl.
        words = ["upgrade", "--install", "--take-ownership", NAME, str(CHART), "--wait", "--timeout", "300s"]
        metadata = {"name": self.namespace, "labels": RESTRICTED}
        self.cluster.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        try:
            self.helm(*words, values=self.values(**more))
        except CommandFailed as failed:
            raise CommandFailed(f"{failed}\n{self.say()}") from failed
        self._reach()

    def say(self) -> str:
        """What the release's pods and the namespaces' events say, for a failed test."""
        told = []
        for where in (self.namespace, self.tenants):
            told.append(self.cluster.kubectl("get", "pods,tenants,pvc", "-n", where, "-o", "wide"))
            told.append(self.cluster.kubectl("get", "events", "-n", where, "--sort-by=.lastTimestamp")[-2000:])
        for component in ("operator", "router"):
            with contextlib.suppress(CommandFailed):  # none of them has ended
                told.append(self.logs(component, "--previous")[-3000:])
            told.append(self.logs(component)[-3000:])
        return "\n".join(told)

    def logs(self, component: str, *words: str) -> str:
        """The end of the logs of operator or router; `--previous`: of the processes before these."""
        selector = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component={component}"
        return self.cluster.kubectl("logs", "-n", self.namespace, "-l", selector, "--tail=60", "--prefix", *words)

    def pods_of(self, component: str) -> list[str]:
        """Names of the pods of operator or router."""
        selector = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component={component}"
        found = self.cluster.kubectl.get("pods", "-n", self.namespace, "-l", selector)["items"]
        return [pod["metadata"]["name"] for pod in found]

    def _reach(self) -> None:
        """Set `url`: the router's Service, by its address where this machine has a route to it. A new Service has a new one."""
        service = self.cluster.kubectl.get("service", f"{NAME}-openclaw-tenancy-router", "-n", self.namespace)
        port = service["spec"]["ports"][0]
        if Ability.ROUTES in self.cluster.abilities:
            self.url = f"ws://{service['spec']['clusterIP']}:{port['port']}"
        elif not self._forward:  # it goes by the Service's name: clients that are connected stay so through an upgrade
            name = str(service["metadata"]["name"])
            self._forward = Forward(self.cluster.kubectl, self.namespace, name, port["name"]).start()
            self.url = f"ws://127.0.0.1:{self._forward.local}"

    def close(self) -> None:
        """End what leads to the router."""
        if self._forward:
            self._forward.stop()
            self._forward = None

    # --- tenants

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects in the tenants' namespace."""
        self.cluster.kubectl.apply(*objects, namespace=self.tenants)

    def template(self, name: str, runtime: str, config: str, claim: str | None = None, **spec: Any) -> dict[str, Any]:
        """A TenantTemplate, not yet applied; its tenants' volumes are clones of `claim`."""
        volume: dict[str, Any] = {"size": "1Gi"}
        if self.storage_class:
            volume["storageClassName"] = self.storage_class
        if claim:
            volume["source"] = {"persistentVolumeClaim": {"claimName": claim}}
        spec = {
            "version": "1",
            "runtime": runtime,
            "volume": volume,
            "config": config,
            "wake": {"timeout": "150s"},
            **spec,
        }
        api = f"{GROUP}/{VERSION}"
        return {"apiVersion": api, "kind": "TenantTemplate", "metadata": {"name": name}, "spec": spec}

    def tenant(self, name: str, template: str, **spec: Any) -> dict[str, Any]:
        """A Tenant with a token of its own, not yet applied."""
        self.tokens.setdefault(name, f"oct-{name}-{secrets.token_hex(16)}")
        tokens = [{"name": "phone", "sha256": token_hex(self.tokens[name])}]
        spec = {"userId": f"user-{name}", "templateRef": {"name": template}, "tokens": tokens, **spec}
        return {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Tenant", "metadata": {"name": name}, "spec": spec}

    def get(self, *words: str) -> dict[str, Any]:
        """An object of the tenants' namespace, or a list."""
        return self.cluster.kubectl.get(*words, "-n", self.tenants)

    def condition(self, name: str, type: str, kind: str = "tenant") -> dict[str, Any]:
        """A condition of a tenant's status, {} if there is none yet."""
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == type), {})

    async def provisioned(self, *names: str) -> None:
        """Wait until these tenants are Provisioned."""

        def all_are() -> bool:
            said = {name: self.condition(name, "Provisioned") for name in names}
            assert all(one.get("status") == "True" for one in said.values()), said
            return True

        await eventually(all_are, SOON, f"{names} Provisioned")

    def pods(self, name: str | None = None) -> list[dict[str, Any]]:
        """The gateways' pods, of one tenant or of all."""
        found = self.get("pods", "-l", f"{TENANT_LABEL}={name}" if name else TENANT_LABEL)["items"]
        assert isinstance(found, list)
        return found

    async def awake(self, name: str) -> None:
        """Wait until the operator says that a tenant is awake."""
        await eventually(
            lambda: self.get("tenant", name).get("status", {}).get("phase") == "Awake", SOON, f"{name} is awake"
        )

    async def asleep(self, name: str, timeout: float = SOON) -> None:
        """Wait until a tenant's pod is gone."""
        await eventually(lambda: not self.pods(name), timeout, f"{name} asleep")

    def in_gateway(self, name: str, *command: str) -> str:
        """The output of a command in a tenant's pod, which must be awake."""
        words = ["exec", "-n", self.tenants, f"deployment/{child_name(name)}", "-c", "gateway", "--"]
        return self.cluster.kubectl(*words, *command)

    def sees(self, name: str, targets: Sequence[Target]) -> list[Verdict]:
        """What these are to a tenant's gateway, which must be awake."""
        return [Verdict(word) for word in self.in_gateway(name, "python3", "-c", PROBE, *map(str, targets)).split()]

    def client(self, name: str, **options: Any) -> GatewayClient:
        """Our small client with this tenant's token."""
        return GatewayClient(self.url, self.tokens[name], **{"deadline": WAKE_SECONDS, **options})


@dataclass(frozen=True)
class Watched:
    """A tenant as `evening` looks at it: from its status and its pods."""

    release: Release
    name: str

    async def gone(self) -> bool:
        return await asyncio.to_thread(
            lambda: self._status().get("phase") == "Asleep" and not self.release.pods(self.name)
        )

    async def wakes(self) -> int:
        return int((await asyncio.to_thread(self._status))["usage"]["wakes"])

    async def reason(self) -> str:
        return str((await asyncio.to_thread(self.release.condition, self.name, "Idle"))["message"])

    def _status(self) -> dict[str, Any]:
        status = self.release.get("tenant", self.name).get("status", {})
        assert isinstance(status, dict)
        return status


MakeCli = Callable[..., ClusterCli]


def cli_maker(release: Release, runtime: OpenClawRuntime, home: Path) -> MakeCli:
    """Makes fresh installations of upstream's client, each with one tenant's token; `url`: not that of the release."""

    def make(name: str, url: str | None = None) -> ClusterCli:
        return ClusterCli(runtime, home / secrets.token_hex(4), url or release.url, release.tokens[name])

    return make


def activity(release: Release, router: str) -> dict[str, Any]:
    """What a router tells of its tenants."""
    path = f"/api/v1/namespaces/{release.namespace}/pods/{router}:{ADMIN_PORT}/proxy/activity"
    tenants = json.loads(release.cluster.kubectl("get", "--raw", path))["tenants"]
    assert isinstance(tenants, dict)
    return tenants
