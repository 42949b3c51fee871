"""The stand-in language model as a pod, and the config by which gateways use it."""

from __future__ import annotations

from typing import Any

from cluster.fixtures import Cluster
from cluster.images.ours import REPOSITORY
from cluster.pods import pod

PORT = 8000
SOURCES = REPOSITORY / "command" / "openclaw_tenancy"
FILES = ("__init__.py", "demo/__init__.py", "demo/fakellm.py", "demo/fakellm_apis.py", "demo/fakellm_script.py")
READY_SECONDS = 60.0

CONFIG = """\
{
  models: { mode: "replace", providers: { local: {
    baseUrl: "%s", apiKey: "sk-none", api: "openai-completions",
    models: [{ id: "fake-model", name: "Fake", reasoning: false, input: ["text"],
               cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, contextWindow: 128000, maxTokens: 4096 }],
  } } },
  agents: { defaults: { model: { primary: "local/fake-model" }, heartbeat: { every: "0m" } } },
}
"""


def config(address: str) -> str:
    """OpenClaw config (JSON5) with the model at this address as its only one."""
    return CONFIG % f"http://{address}:{PORT}/v1"


def start(cluster: Cluster, namespace: str, image: str) -> str:
    """Run the model in a pod of an image that has h11 (the router's); return the pod's address."""
    keys = {file.replace("/", "."): file for file in FILES}
    files = {key: (SOURCES / file).read_text() for key, file in keys.items()}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "model"}, "data": files}
    program = ["-m", "openclaw_tenancy.demo.fakellm", "--host", "0.0.0.0", "--port", str(PORT)]
    model: dict[str, Any] = pod("model", image, ["python", *program], config_map="model")
    items = [{"key": key, "path": f"openclaw_tenancy/{file}"} for key, file in keys.items()]
    model["spec"]["volumes"][0]["configMap"]["items"] = items
    container = model["spec"]["containers"][0]
    container["env"] = [{"name": "PYTHONPATH", "value": "/files:/app:/opt/packages"}]
    container["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    cluster.kubectl.apply(config_map, model, namespace=namespace)
    cluster.kubectl.wait("condition=Ready", "pod/model", "-n", namespace, timeout=READY_SECONDS)
    return str(cluster.kubectl.get("pod", "model", "-n", namespace)["status"]["podIP"])
