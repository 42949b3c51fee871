"""How often a process looks for garbage in cycles: routers and operators make none that matters, yet allocate a lot."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 50)
"""Instead of Python's (700, 10, 10), by which the youngest generation is walked for every second connection of a router, and
an operator spends a tenth of its time on it while a thousand tenants come."""


def settle() -> None:
    """Call once all is started: what start-up made stays for good, so no later collection need walk it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
