"""CustomResourceDefinitions of others, out of their Go modules: what the chart renders for them is judged by their own schemas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.gotools import GO_HINT, NETWORK_HINT
from cluster.programs import need, run

DOWNLOAD_SECONDS = 200.0


@dataclass(frozen=True)
class Definition:
    """One CRD, and the module that has it; `sum` is that of go.sum, so that nobody's copy differs."""

    kind: str
    """Its name as kubectl takes it."""
    module: str
    sum: str
    file: str

    def path(self) -> Path:
        """The file, fetched when it is not there."""
        # Outside of any module of ours: none of them needs to require it.
        said = run(
            [need("go", GO_HINT), "mod", "download", "-json", self.module],
            timeout=DOWNLOAD_SECONDS,
            cwd=Path("/"),
            env={"GOWORK": "off", "GOFLAGS": ""},
            hint=NETWORK_HINT,
        )
        fetched = json.loads(said)
        assert fetched["Sum"] == self.sum, f"{self.module} is not what it was: {fetched['Sum']}"
        return Path(fetched["Dir"]) / self.file


_GATEWAY_API = "sigs.k8s.io/gateway-api@v1.6.3", "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc="
_MONITORING = (
    "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)
_ROUTES = "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
_OPERATOR = "example/prometheus-operator-crd/monitoring.coreos.com_"

DEFINITIONS = {
    "HTTPRoute": Definition("httproutes.gateway.networking.k8s.io", *_GATEWAY_API, _ROUTES),
    "ServiceMonitor": Definition(
        "servicemonitors.monitoring.coreos.com", *_MONITORING, f"{_OPERATOR}servicemonitors.yaml"
    ),
    "PrometheusRule": Definition(
        "prometheusrules.monitoring.coreos.com", *_MONITORING, f"{_OPERATOR}prometheusrules.yaml"
    ),
}
"""By kind."""
