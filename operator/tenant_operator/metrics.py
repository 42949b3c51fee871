"""What the operator counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """All of it, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.calls = Counter(
            "openclaw_tenancy_operator_api_calls", "Calls of the API server.", ["verb", "resource"], registry=registry
        )
        self.reconciles = Counter(
            "openclaw_tenancy_operator_reconciles", "Reconciles by outcome.", ["kind", "outcome"], registry=registry
        )
        self.seconds = Histogram(
            "openclaw_tenancy_operator_reconcile_seconds",
            "Time of one reconcile.",
            ["kind"],
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
            registry=registry,
        )
        self.queue = Gauge("openclaw_tenancy_operator_queue", "Keys that wait for a worker.", registry=registry)
        self.leading = Gauge("openclaw_tenancy_operator_leading", "1 while this replica leads.", registry=registry)
        self.known = Gauge(
            "openclaw_tenancy_operator_objects", "Objects in the cache.", ["resource"], registry=registry
        )
        self.suspends = Counter(
            "openclaw_tenancy_operator_suspends", "Attempts to put a tenant to sleep.", ["outcome"], registry=registry
        )
        self.wakes = Counter(
            "openclaw_tenancy_operator_wakes", "Wakes that the operator began.", ["reason"], registry=registry
        )
        self.last_status = Gauge(
            "openclaw_tenancy_operator_last_status_timestamp_seconds",
            "When a tenant's status was written last.",
            registry=registry,
        )
        self.events_dropped = Counter(
            "openclaw_tenancy_operator_events_dropped", "Events that were not told.", registry=registry
        )

    def called(self, verb: str, resource: str) -> None:
        """Count a call of the API server."""
        self.calls.labels(verb, resource).inc()
