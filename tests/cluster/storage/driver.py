"""A CSI driver for one node: volumes are directories on a reflink file system, clones and snapshots are copies (`disk.py`).

Serves Identity, Controller and Node (csi.proto) on one Unix socket and registers itself with the kubelet
(registration.proto). csi-provisioner and csi-snapshotter, run beside it, turn claims and snapshots into calls.

Run by path with the Python of `setup.py`, which has grpc and the messages generated from the two files:
`driver.py VOLUMES_DIR KUBELET_DIR NODE_ID`.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import csi_pb2 as csi
import grpc
import registration_pb2 as registration
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import BoolValue

from cluster.storage.disk import Disk, DiskError, Malformed, Snapshot, Source, page

DRIVER = "clone.csi.test"
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096  # mount(2)
MNT_DETACH = 2
CALLS_AT_ONCE = 16

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

    def __init__(self, disk: Disk, node: str) -> None:
        self._disk = disk
        self._node = node

    def ControllerGetCapabilities(self, request: Any, context: Any) -> Any:
        rpc = csi.ControllerServiceCapability.RPC
        kinds = (rpc.CREATE_DELETE_VOLUME, rpc.CLONE_VOLUME, rpc.CREATE_DELETE_SNAPSHOT, rpc.LIST_SNAPSHOTS)
        return csi.ControllerGetCapabilitiesResponse(
            capabilities=[csi.ControllerServiceCapability(rpc=rpc(type=kind)) for kind in kinds]
        )

    def CreateVolume(self, request: Any, context: Any) -> Any:
        content = request.volume_content_source if request.HasField("volume_content_source") else None
        source: Source = {}
        if content:
            match content.WhichOneof("type"):
                case "volume":
                    source["volume"] = content.volume.volume_id
                case "snapshot":
                    source["snapshot"] = content.snapshot.snapshot_id
                case _:
                    raise Malformed("the content source is neither a volume nor a snapshot")
        wanted = request.capacity_range
        id = self._disk.create_volume(request.name, wanted.required_bytes, source, limit=wanted.limit_bytes)
        topology = csi.Topology(segments={f"{DRIVER}/node": self._node})
        return csi.CreateVolumeResponse(
            volume=csi.Volume(
                volume_id=id,
                capacity_bytes=self._disk.size(id),
                content_source=content,
                accessible_topology=[topology],
            )
        )

    def DeleteVolume(self, request: Any, context: Any) -> Any:
        if not request.volume_id:
            raise Malformed("volume_id is empty")
        self._disk.delete_volume(request.volume_id)
        return csi.DeleteVolumeResponse()

    def CreateSnapshot(self, request: Any, context: Any) -> Any:
        if not request.source_volume_id:
            raise Malformed("source_volume_id is empty")
        made = self._disk.create_snapshot(request.name, request.source_volume_id)
        return csi.CreateSnapshotResponse(snapshot=snapshot_message(made))

    def DeleteSnapshot(self, request: Any, context: Any) -> Any:
        if not request.snapshot_id:
            raise Malformed("snapshot_id is empty")
        self._disk.delete_snapshot(request.snapshot_id)
        return csi.DeleteSnapshotResponse()

    def ListSnapshots(self, request: Any, context: Any) -> Any:
        found = list(self._disk.snapshots(request.source_volume_id, request.snapshot_id))
        shown, following = page(found, request.starting_token, request.max_entries)
        entry = csi.ListSnapshotsResponse.Entry
        return csi.ListSnapshotsResponse(
            entries=[entry(snapshot=snapshot_message(one)) for one in shown], next_token=following
        )

    def ValidateVolumeCapabilities(self, request: Any, context: Any) -> Any:
        confirmed = csi.ValidateVolumeCapabilitiesResponse.Confirmed(volume_capabilities=request.volume_capabilities)
        return csi.ValidateVolumeCapabilitiesResponse(confirmed=confirmed)


def snapshot_message(snapshot: Snapshot) -> Any:
    """csi.v1.Snapshot; ready as soon as it is there, because nothing is done to it after the copy."""
    created = Timestamp()
    created.FromNanoseconds(snapshot.created_ns)
    return csi.Snapshot(
        snapshot_id=snapshot.id,
        source_volume_id=snapshot.volume,
        size_bytes=snapshot.size,
        creation_time=created,
        ready_to_use=True,
    )


class Node:
    """csi.v1.Node: publishing is a bind mount."""

    def __init__(self, disk: Disk, node: str) -> None:
        self._disk = disk
        self._node = node

    def NodeGetInfo(self, request: Any, context: Any) -> Any:
        topology = csi.Topology(segments={f"{DRIVER}/node": self._node})
        return csi.NodeGetInfoResponse(node_id=self._node, accessible_topology=topology)

    def NodeGetCapabilities(self, request: Any, context: Any) -> Any:
        return csi.NodeGetCapabilitiesResponse()

    def NodePublishVolume(self, request: Any, context: Any) -> Any:
        source, target = self._disk.volume(request.volume_id), Path(request.target_path)
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


def with_status(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, with what the disk refuses as a status of gRPC."""

    @functools.wraps(method)
    def answer(request: Any, context: Any) -> Any:
        try:
            return method(request, context)
        except DiskError as error:
            return context.abort(grpc.StatusCode[error.code], str(error))

    return answer


def handler(file: Any, service: str, implementation: object) -> Any:
    """gRPC's handler for the methods of a service that the implementation has; others are UNIMPLEMENTED."""
    messages = {method.name: method for method in file.DESCRIPTOR.services_by_name[service].methods}
    methods: Mapping[str, Callable[..., Any]] = {
        name: getattr(implementation, name) for name in messages if hasattr(implementation, name)
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            with_status(method),
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
    disk = Disk(volumes)
    services = {"Identity": Identity(), "Controller": Controller(disk, node), "Node": Node(disk, node)}
    driver = serve(socket, [handler(csi, name, service) for name, service in services.items()])
    registrar = serve(
        kubelet / "plugins_registry" / f"{DRIVER}.sock",
        [handler(registration, "Registration", Registration(socket))],
    )
    driver.wait_for_termination()
    registrar.stop(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
