"""When a sleeping tenant must be awake: kept on disk, forgotten once it is."""

from __future__ import annotations

from pathlib import Path

from tenant_local.layout import TenantPaths
from tenant_local.timers import CAUTION, MARGIN, UNMEASURED, Timer, lead


def test_a_timer_outlives_its_fleet(tmp_path: Path) -> None:
    paths = TenantPaths(tmp_path)
    assert Timer(paths).at is None
    Timer(paths).keep(1_800_000_000_500)
    timer = Timer(paths)
    assert timer.at == 1_800_000_000.5
    timer.done()
    assert timer.at is None
    assert Timer(paths).at == 1_800_000_000.5  # what a killed fleet leaves
    timer.keep(None)
    assert Timer(paths).at is None


def test_a_broken_file_is_no_timer(tmp_path: Path) -> None:
    paths = TenantPaths(tmp_path)
    for content in ("", "{", "[]", '{"nextWakeAtMs": "soon"}'):
        (tmp_path / "next-wake.json").write_text(content)
        assert Timer(paths).at is None


def test_the_lead_is_the_measured_cold_start_and_more() -> None:
    assert lead("native", None) == UNMEASURED["native"] + MARGIN
    assert lead("openclaw", 20.0) == 20.0 * CAUTION + MARGIN
