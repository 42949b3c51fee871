"""The way to a Service where this machine has no route: it goes where a Service would, and one connection ends without the others."""

from __future__ import annotations

import socket

from cluster.fixtures import Cluster
from cluster.packets import FILES, SERVE, TCP_PORTS
from cluster.pods import pod
from deadlines import eventually
from e2e_cluster.forward import Forward

SOON = 60.0
CONNECT_SECONDS = 30.0
GRACE_SECONDS = 15


def said_back(connection: socket.socket) -> bytes:
    connection.sendall(b"you there?")
    return connection.recv(64)


async def test_what_is_open_stays_and_what_is_new_goes_to_a_ready_pod(
    node_cluster: Cluster, node_namespace: str
) -> None:
    assert node_cluster.provider
    image = node_cluster.provider.python_image
    kubectl, where = node_cluster.kubectl, ("-n", node_namespace)
    service = {"selector": {"part": "echo"}, "ports": [{"name": "web", "port": 80, "targetPort": TCP_PORTS[0]}]}
    files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": FILES}
    kubectl.apply(
        files,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"}, "spec": service},
        namespace=node_namespace,
    )

    def start(name: str) -> None:
        labels = {"part": "echo"}
        echo = pod(name, image, SERVE, labels=labels, config_map="files")
        # As its first process it hears no SIGTERM: it serves until its grace is over.
        echo["spec"]["terminationGracePeriodSeconds"] = GRACE_SECONDS
        kubectl.apply(echo, namespace=node_namespace)
        kubectl.wait("condition=Ready", f"pod/{name}", *where, timeout=SOON)

    forward = Forward(kubectl, node_namespace, "echo", "web").start()

    def connected() -> socket.socket:
        return socket.create_connection(("127.0.0.1", forward.local), timeout=CONNECT_SECONDS)

    def served() -> bool:
        with connected() as one:
            return said_back(one) == b"you there?"

    try:
        with connected() as nowhere:
            assert nowhere.recv(64) == b"", "no pod, no connection"
        start("first")
        await eventually(served, SOON, "its way leads to the first pod")
        with connected() as old:
            assert said_back(old) == b"you there?"
            start("second")
            kubectl("delete", "pod", "first", *where, "--wait=false")
            await eventually(served, SOON, "the Service has seen that the second is ready")
            assert served()
            assert "deletionTimestamp" in kubectl.get("pod", "first", *where)["metadata"], "and the first still ends"
            assert said_back(old) == b"you there?"
    finally:
        forward.stop()
