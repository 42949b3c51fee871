"""The images of this repository's own Dockerfile."""

from __future__ import annotations

from collections.abc import Sequence

from ..layout import PACKAGE_DIR
from .builder import Dockerfile

REPOSITORY = PACKAGE_DIR.parent.parent
TARGETS = ("operator", "router", "gateway", "openclaw")
# As the chart names them, with images.prefix=localhost/.
PREFIX = "localhost/openclaw-tenancy"
TAG = "dev"


def ours(targets: Sequence[str] = TARGETS) -> list[Dockerfile]:
    """What to build for these stages; the names are PREFIX-TARGET:TAG."""
    return [Dockerfile(f"{PREFIX}-{target}:{TAG}", REPOSITORY, target=target) for target in targets]
