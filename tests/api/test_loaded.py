from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenant_api.loaded import FileError, version_order


def test_versions_go_as_people_count() -> None:
    versions = ["9", "10", "1.10", "1.9", "v2", "v10", "2026.9.6", "2026.10.1", "1.9.1", "1.9-rc1"]
    ordered = sorted(versions, key=version_order)
    assert ordered.index("9") < ordered.index("10") and ordered.index("1.9") < ordered.index("1.10")
    assert ordered.index("v2") < ordered.index("v10") and ordered.index("2026.9.6") < ordered.index("2026.10.1")
    assert ordered.index("1.9") < ordered.index("1.9.1")


@given(st.lists(st.text(max_size=8)))
def test_any_versions_can_be_sorted(versions: list[str]) -> None:
    assert len(sorted(versions, key=version_order)) == len(versions)


def test_an_error_reads_like_a_compilers() -> None:
    error = FileError("a.yaml", "is missing", "spec.userId", 3, 5, "add userId", "Tenant", "ann")
    assert str(error) == "a.yaml:3:5: Tenant ann: spec.userId is missing (add userId)"
    assert str(FileError("a.yaml", "can't be read")) == "a.yaml: can't be read"
