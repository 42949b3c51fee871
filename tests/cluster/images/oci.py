"""Writes an image as an OCI layout in a tar (OCI image-spec 1.1), from plain layer tars and without any tool."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
# What containerd's import names the image by.
NAME_ANNOTATION = "io.containerd.image.name"
PATH_VARIABLE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """What an image is made of: `name` with its tag, the layers from the lowest, and how it runs."""

    name: str
    layers: Sequence[Path]
    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    user: str = ""


def single_file_layer(tar: Path, file: Path, name: str) -> Path:
    """A layer with one executable file at the root; returns `tar`."""
    with tarfile.open(tar, "w") as archive:
        entry = archive.gettarinfo(file, name)
        entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o755, 0, 0, "", ""
        with file.open("rb") as content:
            archive.addfile(entry, content)
    return tar


def write(image: Image, target: Path) -> Path:
    """Write the archive; what reads it finds either a whole one or none."""
    fresh = target.with_suffix(".new")
    with tarfile.open(fresh, "w") as archive:
        layers = [_add_file(archive, layer) for layer in image.layers]
        platform = {"architecture": ARCHITECTURES.get(os.uname().machine, os.uname().machine), "os": "linux"}
        run: dict[str, Any] = {"Env": [PATH_VARIABLE], "WorkingDir": "/"}
        for key, value in (("Entrypoint", image.entrypoint), ("Cmd", image.cmd), ("User", image.user)):
            if value:
                run[key] = value if isinstance(value, str) else list(value)
        rootfs = {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}  # layers are not compressed
        history = [{"created_by": "tests/cluster"} for _ in layers]
        config = _add_json(archive, {**platform, "config": run, "rootfs": rootfs, "history": history}, CONFIG)
        content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        tag = image.name.rpartition(":")[2]
        manifest: dict[str, Any] = _add_json(archive, content, MANIFEST)
        manifest["platform"] = platform
        manifest["annotations"] = {NAME_ANNOTATION: image.name, "org.opencontainers.image.ref.name": tag}
        _add_bytes(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
        _add_bytes(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    fresh.replace(target)
    return target


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))


def _add_json(archive: tarfile.TarFile, value: object, media_type: str) -> dict[str, Any]:
    content = json.dumps(value, sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    _add_bytes(archive, f"blobs/sha256/{digest}", content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _add_file(archive: tarfile.TarFile, path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        file.seek(0)
        entry = archive.gettarinfo(path, f"blobs/sha256/{digest.hexdigest()}")
        archive.addfile(entry, file)
    return {"mediaType": LAYER, "digest": f"sha256:{digest.hexdigest()}", "size": path.stat().st_size}
