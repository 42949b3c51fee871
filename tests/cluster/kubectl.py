"""kubectl against a cluster, and its most used sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ClusterError
from .programs import run

TIMEOUT_SECONDS = 60.0
READY_SECONDS = 10.0


@dataclass(frozen=True)
class Kubectl:
    """Runs one kubectl with one kubeconfig."""

    program: str
    kubeconfig: Path

    @property
    def env(self) -> dict[str, str]:
        return {"KUBECONFIG": str(self.kubeconfig)}

    def __call__(self, *words: str, input: str | None = None, timeout: float = TIMEOUT_SECONDS) -> str:
        """The output of a command; CommandFailed with kubectl's words otherwise. `timeout` in seconds."""
        return run([self.program, *words], timeout=timeout, env=self.env, input=input)

    def apply(self, *objects: Mapping[str, Any], namespace: str | None = None) -> str:
        """Apply objects given as data, in this namespace or in those that they name."""
        whole = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        where = ["-n", namespace] if namespace else []
        return self("apply", *where, "-f", "-", input=json.dumps(whole))

    def get(self, *words: str) -> dict[str, Any]:
        """An object or a list as data."""
        answer = json.loads(self("get", *words, "-o", "json"))
        assert isinstance(answer, dict)
        return answer

    def wait(self, condition: str, *what: str, timeout: float = TIMEOUT_SECONDS) -> None:
        """`kubectl wait --for=CONDITION what`; `timeout` in seconds."""
        self("wait", f"--for={condition}", f"--timeout={timeout:.0f}s", *what, timeout=timeout + 5)

    def in_pod(self, pod: str, command: Sequence[str], namespace: str = "default") -> str:
        """The output of a command in a pod's first container."""
        return self("exec", "-n", namespace, pod, "--", *command)

    def is_ready(self) -> bool:
        """Whether an API server says that it is ready to serve."""
        try:
            return self("get", "--raw", "/readyz", timeout=READY_SECONDS).strip() == "ok"
        except (ClusterError, OSError):  # refused, or there is no kubectl yet
            return False
