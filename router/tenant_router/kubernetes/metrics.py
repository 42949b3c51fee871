"""What the fleet counts, for the router's registry. No label has a value per tenant."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from .trouble import Cause


class FleetMetrics:
    """Metrics of one fleet."""

    def __init__(self) -> None:
        self.failures = Counter(
            "openclaw_router_wake_failures", "Wakes that came to nothing, by cause.", ["cause"], registry=None
        )
        for cause in Cause:
            self.failures.labels(cause)
        self.watches = Gauge(
            "openclaw_router_watches_up", "Watches that are up to date, by resource.", ["resource"], registry=None
        )
        self.objects = Gauge("openclaw_router_objects", "Objects in memory.", ["resource"], registry=None)
        self.lists = Gauge("openclaw_router_lists", "Full lists so far, by resource.", ["resource"], registry=None)
        self.revocations = Counter(
            "openclaw_router_revocations", "Tenants whose connections an edit or an expiry closed.", registry=None
        )

    def register(self, registry: CollectorRegistry) -> None:
        """Show them in a router's registry."""
        for metric in (self.failures, self.watches, self.objects, self.lists, self.revocations):
            registry.register(metric)
