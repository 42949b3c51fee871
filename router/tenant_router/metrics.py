"""What the router counts, for Prometheus. No label has a value per tenant: their number has no bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from .wake.waker import WakeTiming

_WAKE_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 8, 12, 20, 30, 60)


class RouterMetrics:
    """The metrics of one router process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.opening = Gauge(
            "openclaw_router_opening_connections", "Accepted, handshake not over.", registry=self.registry
        )
        self.relayed = Gauge(
            "openclaw_router_relayed_connections", "Client WebSockets relayed now.", registry=self.registry
        )
        self.accepted = Counter("openclaw_router_accepted", "TCP connections accepted.", registry=self.registry)
        self.refused = Counter(
            "openclaw_router_refused", "Connections refused, by reason.", ["reason"], registry=self.registry
        )
        self.hellos = Counter("openclaw_router_hellos", "Connections relayed, ever.", registry=self.registry)
        self.hello_seconds = Histogram(
            "openclaw_router_hello_seconds",
            "From the client's connect request to its hello, by whether the tenant was awake.",
            ["gateway"],
            buckets=_WAKE_SECONDS,
            registry=self.registry,
        )
        # Looked up once: `labels` costs more than the observation.
        self._hello_seconds = {gateway: self.hello_seconds.labels(gateway) for gateway in ("awake", "asleep")}
        self.http = Counter(
            "openclaw_router_http_requests", "HTTP requests by status.", ["status"], registry=self.registry
        )
        self.parked = Gauge(
            "openclaw_router_parked_connections",
            "Clients connected while their gateway sleeps.",
            registry=self.registry,
        )
        self.deserted = Counter(
            "openclaw_router_deserted_connections",
            "Quiet clients parked because their gateway died unasked.",
            registry=self.registry,
        )
        self.wakes_of_parked = Counter(
            "openclaw_router_parked_returns_begun",
            "Parked clients brought back, by why: a request of theirs, or their gateway was awake.",
            ["reason"],
            registry=self.registry,
        )
        self.return_seconds = Histogram(
            "openclaw_router_parked_return_seconds",
            "Seconds until a parked client was relayed again, or had to connect anew, by outcome.",
            ["outcome"],
            buckets=_WAKE_SECONDS,
            registry=self.registry,
        )
        self.suspends = Counter(
            "openclaw_router_suspends",
            "Suspends by outcome: parked, busy (the gateway), not_quiet (its clients), failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.wakes = Counter("openclaw_router_wakes", "Wakes by outcome.", ["outcome"], registry=self.registry)
        self.wakes_by_reason = Counter(
            "openclaw_router_wakes_by_reason",
            "Wakes by who asked: connect, parked (a parked client's request), http, timer, operator (a person, AlwaysOn).",
            ["reason"],
            registry=self.registry,
        )
        self.wake_seconds = Histogram(
            "openclaw_router_wake_seconds",
            "Seconds since the wake was asked for until each phase was over.",
            ["phase"],
            buckets=_WAKE_SECONDS,
            registry=self.registry,
        )

    def greeted(self, gateway: str, seconds: float) -> None:
        """Count one client that got its hello from a gateway that was "awake" or "asleep"."""
        self.hellos.inc()
        self._hello_seconds[gateway].observe(seconds)

    def returned(self, outcome: str, seconds: float) -> None:
        """Count one parked client that was brought back, or not."""
        self.return_seconds.labels(outcome).observe(seconds)

    def wake(self, outcome: str, timing: WakeTiming) -> None:
        """Count one wake and the phases it got through."""
        self.wakes.labels(outcome).inc()
        for phase in ("admitted", "started", "listening", "ready"):
            if seconds := getattr(timing, phase):
                self.wake_seconds.labels(phase).observe(seconds)
