"""The images in the node's containerd: what is there, what is loaded."""

from __future__ import annotations

from pathlib import Path

from ..layout import PAUSE_IMAGE, Instance
from ..node.containerd import ctr
from ..progress import Progress
from .oci import Image, single_file_layer, write

DNS_IMAGE = "localhost/coredns:1"


class ImageStore:
    """Pods find these images by `imagePullPolicy: Never` or `IfNotPresent` with a tag other than latest."""

    def __init__(self, instance: Instance, progress: Progress) -> None:
        self._instance = instance
        self._progress = progress

    def names(self) -> list[str]:
        """The images by name and tag."""
        return sorted(
            name for name in ctr(self._instance, "images", "list", "--quiet").split() if "sha256:" not in name
        )

    def load(self, archive: Path, name: str) -> None:
        """Load an OCI archive under a name, unless this very archive is loaded already."""
        stamp = self._instance.data / "images" / name.replace("/", "_")
        mark = f"{archive.name} {archive.stat().st_mtime_ns}"
        if stamp.exists() and stamp.read_text() == mark and name in self.names():
            return
        with self._progress.step(f"load {name}"):
            ctr(self._instance, "images", "import", "--base-name", name.rpartition(":")[0], str(archive))
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(mark)

    def ensure_own(self) -> None:
        """The images that the cluster itself needs: each is one static program."""
        for name, program in ((PAUSE_IMAGE, "pause"), (DNS_IMAGE, "coredns")):
            archive = self._archive(name, self._instance.layout.program(program))
            self.load(archive, name)

    def _archive(self, name: str, program: Path) -> Path:
        """Made anew when the program is newer."""
        images = self._instance.layout.images
        images.mkdir(parents=True, exist_ok=True)
        archive = images / f"{program.name}.oci.tar"
        if not archive.exists() or archive.stat().st_mtime < program.stat().st_mtime:
            layer = single_file_layer(images / f"{program.name}.tar", program, program.name)
            write(Image(name, [layer], entrypoint=[f"/{program.name}"]), archive)
            layer.unlink()
        return archive
