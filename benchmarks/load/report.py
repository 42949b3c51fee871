"""Numbers of a run: ratios to the peer of the same round, the median over rounds; flat JSON."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path


class Report:
    """Collects measurements of a subject and its peer, and says what they come to."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._values: dict[str, list[float]] = defaultdict(list)
        self._ratios: dict[str, list[float]] = defaultdict(list)

    def note(self, name: str, value: float) -> None:
        """Take a number that stands for itself."""
        self._values[name].append(value)

    def compare(self, name: str, ratio: str, subject: float, peer: float) -> None:
        """Take one round: `name` is what was measured, with its unit; `ratio` is its name without one."""
        self._values[name].append(subject)
        self._values[f"{self._peer}_{name}"].append(peer)
        self._ratios[f"{ratio}_vs_{self._peer}"].append(subject / peer)

    def flat(self) -> dict[str, float]:
        """Return the medians by name, ratios last."""
        return {
            name: round(statistics.median(found), 4)
            for table in (self._values, self._ratios)
            for name, found in table.items()
        }

    def finish(self, path: Path | None) -> None:
        """Print all numbers, write them as flat JSON, and print the ratios as the last line."""
        flat = self.flat()
        width = max(map(len, flat), default=0)
        for name, value in flat.items():
            spread = self._ratios.get(name) or self._values[name]
            among = f"   ({min(spread):.3g} to {max(spread):.3g} in {len(spread)} rounds)" if len(spread) > 1 else ""
            print(f"{name:{width}}  {value:10.4g}{among}")
        if path is not None:
            path.write_text(json.dumps(flat, indent=1) + "\n")
        print(" ".join(f"{name}={flat[name]:.3g}" for name in self._ratios))
