"""Volumes and snapshots of the CSI driver as directories: what can be called twice, what is refused, what stays apart. No cluster runs here."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.storage import disk as module
from cluster.storage.disk import (
    AlreadyOther,
    Busy,
    Disk,
    Malformed,
    NoSuchPage,
    NotThere,
    Snapshot,
    Source,
    TooSmall,
    page,
)

GIB = 1 << 30
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture
def golden(disk: Disk) -> str:
    """A volume of 1 GiB with a file."""
    id = disk.create_volume("golden", GIB)
    (disk.volume(id) / "SOUL.md").write_text("first")
    return id


def soul(disk: Disk, volume: str) -> str:
    return (disk.volume(volume) / "SOUL.md").read_text()


def test_a_snapshot_holds_what_the_volume_had(disk: Disk, golden: str) -> None:
    taken = disk.create_snapshot("s", golden)
    assert (taken.volume, taken.size) == (golden, GIB)
    (disk.volume(golden) / "SOUL.md").write_text("second")
    assert disk.create_snapshot("s", golden) == taken, "not taken again"
    one, two = (disk.create_volume(name, GIB, {"snapshot": taken.id}) for name in ("one", "two"))
    assert soul(disk, one) == soul(disk, two) == "first"
    (disk.volume(one) / "SOUL.md").write_text("mine")
    assert soul(disk, two) == "first"
    later = disk.create_snapshot("later", golden)
    assert later.created_ns > taken.created_ns
    assert soul(disk, disk.create_volume("three", GIB, {"snapshot": later.id})) == "second"


def test_a_snapshot_outlives_its_volume_and_volumes_outlive_it(disk: Disk, golden: str) -> None:
    taken = disk.create_snapshot("s", golden)
    disk.delete_volume(golden)
    disk.delete_volume(golden)
    assert disk.create_snapshot("s", golden) == taken, "it is there, whatever became of its volume"
    assert list(disk.snapshots()) == [taken]
    one = disk.create_volume("one", GIB, {"snapshot": taken.id})
    disk.delete_snapshot(taken.id)
    disk.delete_snapshot(taken.id)
    assert soul(disk, one) == "first"
    assert not list(disk.snapshots())
    with pytest.raises(NotThere):
        disk.create_volume("two", GIB, {"snapshot": taken.id})
    assert disk.create_volume("one", GIB, {"snapshot": taken.id}) == one, "nor does it need its source again"


@pytest.mark.parametrize("id", [NOBODY, "", ".", "..", ".snapshots", "a/b", NOBODY.upper(), NOBODY.replace("-", "")])
def test_what_is_no_id_of_ours_is_not_there(disk: Disk, golden: str, id: str) -> None:
    taken = disk.create_snapshot("s", golden)
    with pytest.raises(NotThere):
        disk.create_snapshot("t", id)
    sources: list[Source] = [{"volume": id}, {"snapshot": id}]
    for source in sources:
        with pytest.raises(NotThere):
            disk.create_volume("one", GIB, source)
    disk.delete_volume(id)
    disk.delete_snapshot(id)
    assert soul(disk, golden) == "first"
    assert list(disk.snapshots()) == [taken]


def test_a_name_means_one_thing(disk: Disk, golden: str) -> None:
    other = disk.create_volume("other", GIB)
    taken = disk.create_snapshot("golden", golden)
    assert taken.id != golden, "a snapshot may be called as a volume is"
    with pytest.raises(AlreadyOther):
        disk.create_snapshot("golden", other)
    assert disk.create_volume("golden", GIB // 2, limit=2 * GIB) == golden, "what is there is large enough"
    with pytest.raises(AlreadyOther):
        disk.create_volume("golden", 2 * GIB)
    with pytest.raises(AlreadyOther):
        disk.create_volume("golden", GIB // 2, limit=GIB // 2)
    for refused in (lambda: disk.create_volume("", GIB), lambda: disk.create_snapshot("", golden)):
        with pytest.raises(Malformed):
            refused()


def test_no_copy_is_smaller(disk: Disk, golden: str) -> None:
    taken = disk.create_snapshot("s", golden)
    sources: list[Source] = [{"volume": golden}, {"snapshot": taken.id}]
    for source in sources:
        with pytest.raises(TooSmall):
            disk.create_volume("one", GIB - 1, source)
    assert disk.size(disk.create_volume("larger", 2 * GIB, {"snapshot": taken.id})) == 2 * GIB
    assert disk.size(disk.create_volume("as-it-is", 0, {"snapshot": taken.id})) == GIB


def test_volumes_from_before_sizes_were_kept(disk: Disk, golden: str, tmp_path: Path) -> None:
    (tmp_path / ".sizes" / golden).unlink()
    assert disk.create_volume("golden", 5 * GIB) == golden
    assert disk.create_snapshot("s", golden).size == 0
    assert disk.create_volume("one", 1, {"volume": golden})


def test_two_calls_at_a_time_for_one_name(disk: Disk, golden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = module._copy

    def meanwhile(source: Path, target: Path) -> None:
        with pytest.raises(Busy):
            disk.create_snapshot("s", golden)
        assert not list(disk.snapshots()), "not listed before it is whole"
        copy(source, target)

    monkeypatch.setattr(module, "_copy", meanwhile)
    assert disk.create_snapshot("s", golden)
    assert disk.create_snapshot("s", golden)


def test_what_a_call_left_half_done_is_made_anew(disk: Disk, golden: str, tmp_path: Path) -> None:
    taken = disk.create_snapshot("s", golden)
    disk.delete_snapshot(taken.id)
    half = tmp_path / ".snapshots" / f".{taken.id}"
    (half / "content").mkdir(parents=True)
    (half / "content" / "rubbish").touch()
    assert not list(Disk(tmp_path).snapshots())
    again = disk.create_snapshot("s", golden)
    one = disk.create_volume("one", GIB, {"snapshot": again.id})
    assert [path.name for path in disk.volume(one).iterdir()] == ["SOUL.md"]


def test_lists(disk: Disk, golden: str) -> None:
    other = disk.create_volume("other", GIB)
    taken = {disk.create_snapshot(f"s{number}", golden).id for number in range(3)}
    single = disk.create_snapshot("single", other)
    assert {one.id for one in disk.snapshots()} == taken | {single.id}
    assert {one.id for one in disk.snapshots(volume=golden)} == taken
    assert list(disk.snapshots(id=single.id)) == list(disk.snapshots(other, single.id)) == [single]
    assert not list(disk.snapshots(golden, single.id))
    assert not list(disk.snapshots(id="../x"))


def test_pages() -> None:
    all_ = [Snapshot(str(number), "v", 0, 0) for number in range(5)]
    assert page(all_, "", 0) == (all_, "")
    seen, token = [], ""
    for size in (2, 2, 1):
        shown, token = page(all_, token, 2)
        assert len(shown) == size
        seen += shown
    assert (seen, token) == (all_, "")
    assert page(all_, "", 5) == (all_, "")
    for wrong in ("6", "x", "-1", "²"):
        with pytest.raises(NoSuchPage):
            page(all_, wrong, 2)
    with pytest.raises(Malformed):
        page(all_, "", -1)
