"""kubectl's way from this machine to a Service, kept open: kubectl ends with the pod that it picked."""

from __future__ import annotations

import socket
import subprocess
import threading
import time

from cluster.kubectl import Kubectl
from ports import free_port

PAUSE_SECONDS = 0.3
"""Between two tries: the pods may be on their way."""
FIRST_SECONDS = 60.0
STOP_SECONDS = 10.0


class Forward:
    """`kubectl port-forward` on one local port, started anew whenever it ends."""

    def __init__(self, kubectl: Kubectl, namespace: str, service: str, port: int) -> None:
        self.local = free_port()
        words = ["port-forward", "-n", namespace, f"service/{service}", f"{self.local}:{port}"]
        self._argv = [kubectl.program, "--kubeconfig", str(kubectl.kubeconfig), *words]
        self._kubectl: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"forward {service}")

    def start(self) -> Forward:
        """Return once it leads to a pod."""
        self._thread.start()
        deadline = time.monotonic() + FIRST_SECONDS
        while not self._listens():
            if time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"no port-forward within {FIRST_SECONDS:.0f} s: {' '.join(self._argv)}")
            self._stopped.wait(PAUSE_SECONDS)
        return self

    def stop(self) -> None:
        self._stopped.set()
        if self._kubectl:
            self._kubectl.terminate()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._kubectl = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._stopped.is_set():  # between the look and the start
                self._kubectl.terminate()
            self._kubectl.wait()
            self._stopped.wait(PAUSE_SECONDS)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.local)) == 0
