"""Level `apiserver`: etcd and kube-apiserver on loopback ports, any user may start it; no node, so no pod ever runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from . import controlplane
from .api import Api
from .certificates import Pki
from .components import Component, Components
from .controlplane import Endpoints
from .layout import Instance
from .processes import ProcessTable
from .progress import Progress

READY_SECONDS = 60.0  # 3 s on a free machine


@dataclass(frozen=True)
class ApiServerLevel:
    """An API server with or without controllers (garbage collection, ReplicaSets, namespaces' deletion)."""

    instance: Instance
    processes: ProcessTable
    progress: Progress
    controllers: bool

    def up(self) -> None:
        """Start what does not run; returns when the API server is ready."""
        components = Components(self.processes, self.progress)
        etcd, apiserver, *rest = self.components()
        components.start(etcd, wait=False)
        components.start(apiserver)
        for component in rest:
            components.start(component)

    def down(self) -> list[str]:
        return Components(self.processes, self.progress).stop_all()

    def components(self) -> list[Component]:
        """All of this level's components, with the ports that they have now or will have."""
        at = self._endpoints()
        pki = Pki(self.instance.pki)
        pki.ensure(at.server, self.instance.kubeconfig)
        return control_plane(self.instance, pki, at, self.controllers)

    def _endpoints(self) -> Endpoints:
        """The ports of the running instance, so that a component comes back where it was; else free ones."""
        file = self.instance.run / "endpoints.json"
        if file.exists() and any(process.alive for process in self.processes.all()):
            return Endpoints(**json.loads(file.read_text()))
        endpoints = controlplane.free_endpoints()
        file.write_text(json.dumps(asdict(endpoints)))
        return endpoints


def control_plane(instance: Instance, pki: Pki, at: Endpoints, controllers: bool) -> list[Component]:
    """etcd, apiserver and, if wanted, controller-manager."""

    def ready() -> bool:
        return Api(instance.kubeconfig).ready()

    components = [
        Component("etcd", controlplane.etcd(instance, at)),
        Component("apiserver", controlplane.apiserver(instance, pki, at, controllers), ready, READY_SECONDS),
    ]
    if controllers:
        components.append(Component("controller-manager", controlplane.controller_manager(instance, pki)))
    return components
