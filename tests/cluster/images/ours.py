"""The images of this repository's own Dockerfile."""

from __future__ import annotations

from collections.abc import Sequence

from ..layout import PACKAGE_DIR
from .builder import Dockerfile

REPOSITORY = PACKAGE_DIR.parent.parent
UPSTREAM = ("local/tenant_local/__init__.py", "local/tenant_local/runtimes")
# What each stage copies, so that one that cannot have changed is not built again.
INPUTS = {
    "operator": ("protocol", "api", "operator"),
    "router": ("protocol", "api", "router", *UPSTREAM),
    "gateway": ("protocol", "gateway"),
    "openclaw": ("images", *UPSTREAM),
}
TARGETS = tuple(INPUTS)
# As the chart names them, with images.prefix=localhost/.
PREFIX = "localhost/openclaw-tenancy"
TAG = "dev"


def ours(targets: Sequence[str] = TARGETS) -> list[Dockerfile]:
    """What to build for these stages; the names are PREFIX-TARGET:TAG."""
    return [
        Dockerfile(f"{PREFIX}-{target}:{TAG}", REPOSITORY, target=target, inputs=("constraints.txt", *INPUTS[target]))
        for target in targets
    ]
