"""A CSI driver for one node: volumes are directories on a reflink file system, clones are `cp --reflink`.

Serves Identity, Controller and Node (csi.proto) on one Unix socket and registers itself with the kubelet
(registration.proto). csi-provisioner, run beside it, turns claims into calls.

Run by path with the Python of `setup.py`, which has grpc and the messages generated from the two files:
`driver.py VOLUMES_DIR KUBELET_DIR NODE_ID`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import csi_pb2 as csi
import grpc
import registration_pb2 as registration
from google.protobuf.wrappers_pb2 import BoolValue

DRIVER = "clone.csi.test"
# A volume's id follows from its name, so that CreateVolume can be called twice.
ID_SPACE = uuid.UUID("6f1c1c0e-0000-4000-8000-000000000001")
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096  # mount(2)
MNT_DETACH = 2
CALLS_AT_ONCE = 16
COPY_SECONDS = 120.0

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, flags: int) -> None:
    if _libc.mount(source.encode(), target.encode(), None, flags, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


class Identity:
    """csi.v1.Identity"""

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return csi.GetPluginInfoResponse(name=DRIVER, vendor_version="1")

    def Probe(self, request: Any, context: Any) -> Any:
        return csi.ProbeResponse(ready=BoolValue(value=True))

    def GetPluginCapabilities(self, request: Any, context: Any) -> Any:
        service = csi.PluginCapability.Service
        kinds = (service.CONTROLLER_SERVICE, service.VOLUME_ACCESSIBILITY_CONSTRAINTS)
        return csi.GetPluginCapabilitiesResponse(
            capabilities=[csi.PluginCapability(service=service(type=kind)) for kind in kinds]
        )


class Controller:
    """csi.v1.Controller"""

    def __init__(self, volumes: Path, node: str) -> None:
        self._volumes = volumes
        self._node = node

    def ControllerGetCapabilities(self, request: Any, context: Any) -> Any:
        rpc = csi.ControllerServiceCapability.RPC
        kinds = (rpc.CREATE_DELETE_VOLUME, rpc.CLONE_VOLUME)
        return csi.ControllerGetCapabilitiesResponse(
            capabilities=[csi.ControllerServiceCapability(rpc=rpc(type=kind)) for kind in kinds]
        )

    def CreateVolume(self, request: Any, context: Any) -> Any:
        volume = str(uuid.uuid5(ID_SPACE, request.name))
        content = request.volume_content_source if request.HasField("volume_content_source") else None
        source = self._volumes / content.volume.volume_id if content else None
        if source and not source.is_dir():
            context.abort(grpc.StatusCode.NOT_FOUND, f"source volume {source.name} is not there")
        if not (self._volumes / volume).exists():
            self._create(volume, source)
        topology = csi.Topology(segments={f"{DRIVER}/node": self._node})
        return csi.CreateVolumeResponse(
            volume=csi.Volume(
                volume_id=volume,
                capacity_bytes=request.capacity_range.required_bytes,
                content_source=content,
                accessible_topology=[topology],
            )
        )

    def _create(self, volume: str, source: Path | None) -> None:
        """Make it under another name first: a volume is there whole or not at all."""
        partial = self._volumes / f".{volume}"
        shutil.rmtree(partial, ignore_errors=True)
        if source:
            subprocess.run(["cp", "-a", "--reflink=auto", source, partial], check=True, timeout=COPY_SECONDS)
        else:
            partial.mkdir()
            partial.chmod(0o777)
        partial.rename(self._volumes / volume)

    def DeleteVolume(self, request: Any, context: Any) -> Any:
        if "/" not in request.volume_id and request.volume_id not in ("", ".", ".."):
            shutil.rmtree(self._volumes / request.volume_id, ignore_errors=True)
        return csi.DeleteVolumeResponse()

    def ValidateVolumeCapabilities(self, request: Any, context: Any) -> Any:
        confirmed = csi.ValidateVolumeCapabilitiesResponse.Confirmed(volume_capabilities=request.volume_capabilities)
        return csi.ValidateVolumeCapabilitiesResponse(confirmed=confirmed)


class Node:
    """csi.v1.Node: publishing is a bind mount."""

    def __init__(self, volumes: Path, node: str) -> None:
        self._volumes = volumes
        self._node = node

    def NodeGetInfo(self, request: Any, context: Any) -> Any:
        topology = csi.Topology(segments={f"{DRIVER}/node": self._node})
        return csi.NodeGetInfoResponse(node_id=self._node, accessible_topology=topology)

    def NodeGetCapabilities(self, request: Any, context: Any) -> Any:
        return csi.NodeGetCapabilitiesResponse()

    def NodePublishVolume(self, request: Any, context: Any) -> Any:
        source, target = self._volumes / request.volume_id, Path(request.target_path)
        if not source.is_dir():
            context.abort(grpc.StatusCode.NOT_FOUND, f"volume {request.volume_id} is not there")
        target.mkdir(parents=True, exist_ok=True)
        if source.stat().st_ino != target.stat().st_ino:
            mount(str(source), str(target), MS_BIND)
            if request.readonly:
                mount("none", str(target), MS_BIND | MS_REMOUNT | MS_RDONLY)
        return csi.NodePublishVolumeResponse()

    def NodeUnpublishVolume(self, request: Any, context: Any) -> Any:
        target = Path(request.target_path)
        _libc.umount2(str(target).encode(), MNT_DETACH)
        if target.is_dir():
            target.rmdir()
        return csi.NodeUnpublishVolumeResponse()


class Registration:
    """pluginregistration.Registration: how the kubelet learns of the driver."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def GetInfo(self, request: Any, context: Any) -> Any:
        return registration.PluginInfo(
            type="CSIPlugin", name=DRIVER, endpoint=str(self._socket), supported_versions=["1.0.0"]
        )

    def NotifyRegistrationStatus(self, request: Any, context: Any) -> Any:
        print("registered" if request.plugin_registered else f"the kubelet refused: {request.error}", flush=True)
        return registration.RegistrationStatusResponse()


def handler(file: Any, service: str, implementation: object) -> Any:
    """gRPC's handler for the methods of a service that the implementation has; others are UNIMPLEMENTED."""
    messages = {method.name: method for method in file.DESCRIPTOR.services_by_name[service].methods}
    methods: Mapping[str, Callable[..., Any]] = {
        name: getattr(implementation, name) for name in messages if hasattr(implementation, name)
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            method,
            request_deserializer=getattr(file, messages[name].input_type.name).FromString,
            response_serializer=getattr(file, messages[name].output_type.name).SerializeToString,
        )
        for name, method in methods.items()
    }
    return grpc.method_handlers_generic_handler(f"{file.DESCRIPTOR.package}.{service}", handlers)


def serve(socket: Path, handlers: list[Any]) -> Any:
    """Start a server on a Unix socket."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    server = grpc.server(futures.ThreadPoolExecutor(CALLS_AT_ONCE))
    server.add_generic_rpc_handlers(handlers)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    return server


def main(volumes: Path, kubelet: Path, node: str) -> None:
    socket = kubelet / "plugins" / DRIVER / "csi.sock"
    services = {"Identity": Identity(), "Controller": Controller(volumes, node), "Node": Node(volumes, node)}
    driver = serve(socket, [handler(csi, name, service) for name, service in services.items()])
    registrar = serve(
        kubelet / "plugins_registry" / f"{DRIVER}.sock",
        [handler(registration, "Registration", Registration(socket))],
    )
    driver.wait_for_termination()
    registrar.stop(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
