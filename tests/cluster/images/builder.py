"""Builds ordinary Dockerfiles with buildah, where there is no Docker, no registry and no privilege to spare."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ClusterError
from ..layout import Layout
from ..programs import need, run
from ..progress import Progress
from . import base

BUILD_SECONDS = 1200.0
TIMEOUT_SECONDS = 120.0
HOST_CA = Path("/etc/ssl/certs/ca-certificates.crt")
GUEST_CA = "/etc/ssl/certs/host-ca.crt"
# How a RUN step's package clients trust what the host trusts; mounted for the step only, so never in the image.
GUEST_FILES = {
    "pip.conf": ("/etc/pip.conf", f"[global]\ncert = {GUEST_CA}\ndisable-pip-version-check = true\n"),
    "npmrc": ("/usr/local/etc/npmrc", f"cafile={GUEST_CA}\n"),
}
SETTINGS = {
    # Names without a registry are ours: the stand-ins for public images.
    "registries.conf": 'unqualified-search-registries = ["localhost"]\nshort-name-mode = "permissive"\n',
    "policy.json": json.dumps({"default": [{"type": "insecureAcceptAnything"}]}),
    # Hard limits that an unprivileged machine lets us set.
    "containers.conf": '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]\n',
}


@dataclass(frozen=True)
class Dockerfile:
    """One image to build. `file` and `target` as with `docker build`."""

    tag: str
    context: Path
    file: Path | None = None
    target: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[str] = ()
    """Files and directories of the context that the stage is made from; none: not known, so it is always built."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9./_-]*:[A-Za-z0-9._-]+", self.tag):
            raise ClusterError(f"{self.tag} is no image name with a tag", "for example localhost/router:dev")

    def digest(self) -> str | None:
        """Of all inputs and their names; None where they are not known."""
        if not self.inputs:
            return None
        whole = hashlib.sha256(repr((self.tag, self.target, sorted(self.args.items()))).encode())
        recipe = self.file or self.context / "Dockerfile"
        for top in (recipe, *(self.context / name for name in sorted(self.inputs))):
            for path in sorted(top.rglob("*") if top.is_dir() else [top]):
                if path.is_file() and path.suffix != ".pyc":
                    whole.update(str(path.relative_to(self.context)).encode() + b"\0" + path.read_bytes())
        return whole.hexdigest()


class Builder:
    """buildah with a storage of its own in the cache directory."""

    def __init__(self, layout: Layout, progress: Progress) -> None:
        self._layout = layout
        self._progress = progress
        self._settings = layout.images / "settings"

    def build(self, image: Dockerfile) -> Path:
        """Build (layers that are there are used) and return the image as an OCI archive."""
        digest = image.digest()
        stamp = self._layout.images / f"{image.tag.replace('/', '_')}.built-from"
        if digest and stamp.exists():
            built_from, _, name = stamp.read_text().partition(" ")
            if built_from == digest and (self._layout.images / name).exists():
                return self._layout.images / name
        self._prepare()
        with self._progress.step(f"image {image.tag}", announce=True):
            self._buildah("bud", *self._build_options(image), str(image.context), timeout=BUILD_SECONDS)
            identity = self._buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", image.tag).strip()
            archive = self._layout.images / f"{identity[:24]}.oci.tar"
            if not archive.exists():
                self._push(image.tag, archive)
        if digest:
            stamp.write_text(f"{digest} {archive.name}")
        return archive

    def _build_options(self, image: Dockerfile) -> list[str]:
        mounts = [f"{self._settings / name}:{guest}:ro" for name, (guest, _) in GUEST_FILES.items()]
        if HOST_CA.exists():
            mounts.append(f"{HOST_CA}:{GUEST_CA}:ro")
        return [
            f"--signature-policy={self._settings / 'policy.json'}",
            "--pull=never",
            "--layers",
            "--network=host",
            "--isolation=chroot",
            *(word for mount in mounts for word in ("--volume", mount)),
            *(word for name, value in image.args.items() for word in ("--build-arg", f"{name}={value}")),
            *(["--file", str(image.file)] if image.file else []),
            *(["--target", image.target] if image.target else []),
            "--tag",
            image.tag,
        ]

    def _push(self, tag: str, archive: Path) -> None:
        fresh = archive.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        policy = f"--signature-policy={self._settings / 'policy.json'}"
        self._buildah("push", "--quiet", policy, tag, f"oci-archive:{fresh}:{tag}", timeout=BUILD_SECONDS)
        fresh.replace(archive)

    def _prepare(self) -> None:
        """Settings, and the base image that Dockerfiles start from."""
        self._settings.mkdir(parents=True, exist_ok=True)
        for name, content in {**SETTINGS, **{name: text for name, (_, text) in GUEST_FILES.items()}}.items():
            (self._settings / name).write_text(content)
        archive = base.ensure(self._layout, self._progress)
        if base.NAME not in self._buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
            policy = f"--signature-policy={self._settings / 'policy.json'}"
            pulled = self._buildah("pull", "--quiet", policy, f"oci-archive:{archive}", timeout=BUILD_SECONDS)
            self._buildah("tag", pulled.strip(), base.NAME)

    def _buildah(self, command: str, *words: str, timeout: float = TIMEOUT_SECONDS) -> str:
        buildah = need("buildah", "install Debian's package buildah")
        storage = self._layout.images / "storage"
        options = [f"--root={storage / 'root'}", f"--runroot={storage / 'run'}"]
        options.append(f"--registries-conf={self._settings / 'registries.conf'}")
        # Its overlay mounts would stay on the host otherwise.
        alone = ["unshare", "--mount", "--propagation", "private"]
        return run(
            [*alone, buildah, *options, command, *words],
            timeout=timeout,
            env={"CONTAINERS_CONF": str(self._settings / "containers.conf")},
        )
