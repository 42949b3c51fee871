"""What `helm template` makes of the chart, as objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Helm = Callable[..., str]
Rendered = Callable[..., list[dict[str, Any]]]
"""Takes words of `helm template`, e.g. "--set", "router.replicas=3"."""
CHART = Path(__file__).parents[2] / "charts" / "openclaw-tenancy"
SERVER = "1.37.2"
"""Version of Kubernetes that is rendered for."""


def render(helm: Helm, system: str, *words: str) -> list[dict[str, Any]]:
    """Render the chart as release `rel` in the namespace `system`."""
    text = helm("template", "rel", str(CHART), "--namespace", system, "--kube-version", SERVER, *words)
    return [found for found in YAML(typ="safe").load_all(text) if found]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one kind."""
    return [found for found in objects if found["kind"] == kind]


def named(objects: list[dict[str, Any]], kind: str, end: str) -> dict[str, Any]:
    """The one of this kind whose name ends so."""
    (found,) = (one for one in of_kind(objects, kind) if one["metadata"]["name"].endswith(end))
    return found


def environment(objects: list[dict[str, Any]], component: str) -> dict[str, str]:
    """The variables that operator or router is told, without our prefix; those whose value comes from elsewhere are empty."""
    (container,) = named(objects, "Deployment", component)["spec"]["template"]["spec"]["containers"]
    return {one["name"].removeprefix("OPENCLAW_TENANCY_"): one.get("value", "") for one in container["env"]}
