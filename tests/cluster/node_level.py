"""Level `node`: the whole control plane and one node in namespaces of its own, with storage, DNS and network policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from . import controlplane, debian, dns
from .api import Api, ApiError
from .apiserver_level import control_plane
from .certificates import Pki
from .components import Component, Components
from .errors import ClusterError
from .gotools import GoTools
from .images.store import ImageStore
from .kubectl import Kubectl
from .layout import NODE_NAME, PACKAGE_DIR, Instance
from .node import cgroups, containerd, kubelet, namespaces, network
from .processes import ProcessTable
from .progress import Progress
from .storage import setup as storage
from .storage import snapshots

# The package's own programs (`-m cluster...`) are found here, wherever the command was started.
OWN_CODE = {"PYTHONPATH": str(PACKAGE_DIR.parent)}
NODE_READY_SECONDS = 60.0  # 3 s on a free machine


@dataclass(frozen=True)
class NodeLevel:
    """A control plane and a node that runs pods; needs root and cgroup v1."""

    instance: Instance
    processes: ProcessTable
    progress: Progress

    def up(self) -> None:
        """Start what does not run; returns when the node is Ready and claims can be bound."""
        cgroups.check()
        debian.ensure(self.instance.layout, self.progress)
        tools = GoTools(self.instance.layout, self.progress)
        storage.ensure_driver(self.instance.layout, tools, self.progress)
        crds = snapshots.ensure_crds(self.instance.layout, tools, self.progress)
        components = Components(self.processes, self.progress)
        self._open_namespaces(components)
        network.up(self._holder())
        containerd.write(self.instance)
        kubelet.write(self.instance, self._pki())
        storage.ensure_file_system(self.instance, self._holder())
        parts = {component.name: component for component in self.components()}
        for name in ("etcd", "apiserver", "containerd"):
            components.start(parts[name], wait=False)
        components.start(parts["containerd"])
        ImageStore(self.instance, self.progress).ensure_own()
        components.wait(parts["apiserver"])
        self.progress.note("apiserver is ready")
        self.kubectl.apply(*storage.objects(), *dns.objects())
        # netpol before the kubelet: no pod is started while policies are not in force.
        for name in ("netpol", "controller-manager", "scheduler", "kubelet", "proxy", "csi"):
            components.start(parts[name], wait=False)
        snapshots.apply_crds(self.kubectl, crds)
        self.kubectl.apply(*snapshots.objects())
        for name in ("csi", "kubelet"):
            components.wait(parts[name])
        for name in ("provisioner", "snapshot-controller", "snapshotter"):
            components.start(parts[name])
        self.progress.note(f"{NODE_NAME} is Ready, volumes can be cloned")

    def down(self) -> list[str]:
        """Stop the components, then everything else in the node's cgroup; remove cgroups and link."""
        stopped = Components(self.processes, self.progress).stop_all()
        cgroups.kill_all()
        network.down()
        cgroups.remove()
        namespaces.ready_file(self.instance).unlink(missing_ok=True)
        return stopped

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(str(self.instance.layout.program("kubectl")), self.instance.kubeconfig)

    @property
    def images(self) -> ImageStore:
        return ImageStore(self.instance, self.progress)

    def enter_command(self, argv: list[str]) -> list[str]:
        """The command line that runs a program inside the node: its mounts, its network."""
        return namespaces.enter_command(self._holder(), argv)

    def components(self) -> list[Component]:
        """All but the holder of the namespaces, each to run inside of them."""
        pki = self._pki()
        plane = control_plane(self.instance, pki, controlplane.NODE_ENDPOINTS, controllers=True)
        plane.append(Component("scheduler", controlplane.scheduler(self.instance, pki)))
        return [self._inside(component) for component in (*plane, *self._node_components(pki))]

    def _node_components(self, pki: Pki) -> list[Component]:
        instance = self.instance
        enforcer = [*namespaces.OWN_PROGRAM, "cluster.netpol.enforcer", str(instance.kubeconfig)]
        return [
            Component(
                "containerd",
                containerd.command(instance),
                lambda: containerd.serves(instance),
                env=containerd.environment(instance),
            ),
            Component("netpol", enforcer, env=OWN_CODE),
            Component(
                "kubelet",
                kubelet.kubelet_command(instance, pki),
                self._node_is_ready,
                NODE_READY_SECONDS,
                # It calls mount, iptables and the like; some users' PATH has them not.
                containerd.environment(instance),
            ),
            Component("proxy", kubelet.proxy_command(instance), env=containerd.environment(instance)),
            Component(
                "csi",
                storage.driver_command(instance),
                self._driver_is_registered,
                NODE_READY_SECONDS,
                storage.driver_environment(instance),
            ),
            Component("provisioner", storage.provisioner_command(instance), env={"NODE_NAME": NODE_NAME}),
            Component("snapshot-controller", snapshots.controller_command(instance)),
            Component("snapshotter", snapshots.sidecar_command(instance)),
        ]

    def _inside(self, component: Component) -> Component:
        return replace(component, argv=namespaces.service_command(self._holder(), component.argv))

    def _open_namespaces(self, components: Components) -> None:
        ready = namespaces.ready_file(self.instance)
        if not self.processes.find("namespaces"):
            if cgroups.members():
                raise ClusterError(
                    "another scratch node runs on this machine, or one was not taken down",
                    "there is one node a machine: see `python -m cluster status`; `down --name NAME` removes one",
                )
            ready.unlink(missing_ok=True)
            cgroups.create()
        holder = Component("namespaces", namespaces.holder_command(self.instance), ready.exists, env=OWN_CODE)
        components.start(holder)

    def _holder(self) -> int:
        holder = self.processes.find("namespaces")
        if not holder:
            raise ClusterError("the node's namespaces are gone", "run `python -m cluster down`, then `up` again")
        return holder.pid

    def _pki(self) -> Pki:
        pki = Pki(self.instance.pki)
        pki.ensure(controlplane.NODE_ENDPOINTS.server, self.instance.kubeconfig)
        return pki

    def _get(self, path: str) -> Mapping[str, object]:
        try:
            return Api(self.instance.kubeconfig).get(path)
        except (OSError, ApiError):
            return {}

    def _node_is_ready(self) -> bool:
        status = self._get(f"/api/v1/nodes/{NODE_NAME}").get("status")
        conditions = status.get("conditions", []) if isinstance(status, dict) else []
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def _driver_is_registered(self) -> bool:
        spec = self._get(f"/apis/storage.k8s.io/v1/csinodes/{NODE_NAME}").get("spec")
        drivers = spec.get("drivers") or [] if isinstance(spec, dict) else []
        return any(driver["name"] == storage.DRIVER for driver in drivers)
