"""How often a router looks for garbage in cycles. A connection makes none that matters, yet allocates enough to be looked at."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 50)
"""Instead of Python's (700, 10, 10), by which the youngest generation is walked for every second connection."""


def settle() -> None:
    """Call once all is started: what start-up made stays for good, so no later collection need walk it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
