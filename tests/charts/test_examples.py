"""The Kubernetes examples are taken by a real API server, in a namespace like that of tenants."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cluster.fixtures import Cluster
from tenant_api.config.render import check_template
from tenant_api.template import TenantTemplate

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "kubernetes").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_api_server_takes_it(api_server: Cluster, namespace: str, file: Path) -> None:
    api_server.kubectl("apply", "-f", str(ROOT / "crds"))
    for name in ("tenants", "tenanttemplates"):
        api_server.kubectl.wait("condition=Established", f"crd/{name}.openclaw-tenancy.dev", timeout=30)
    said = api_server.kubectl("apply", "-n", namespace, "--dry-run=server", "-f", str(file))
    assert said.count("(server dry run)") == len(list(YAML(typ="safe").load_all(file)))


def test_a_pod_of_the_job_keeps_to_restricted(api_server: Cluster, namespace: str) -> None:
    _, job = YAML(typ="safe").load_all(ROOT / "examples" / "kubernetes" / "template-volume.yaml")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fill"}, "spec": job["spec"]["template"]["spec"]}
    api_server.kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", input=json.dumps(pod))


def test_its_config_renders() -> None:
    loaded = YAML(typ="safe").load(ROOT / "examples" / "kubernetes" / "template.yaml")
    check_template(TenantTemplate.model_validate(loaded, by_name=False))
