"""The committed CRDs are those that the models say, and read well."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tenant_api.crd.__main__ import main, stale
from tenant_api.crd.definitions import KINDS, Kind
from tenant_api.crd.rules import MESSAGES

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "crds", ROOT / "charts" / "openclaw-tenancy" / "files" / "crds")


def schema(kind: Kind) -> dict[str, Any]:
    version: dict[str, Any] = kind.definition()["spec"]["versions"][0]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def parts(found: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield where, found
    for key, child in found.get("properties", {}).items():
        yield from parts(child, f"{where}.{key}")
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            yield from parts(found[key], f"{where}[]")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_the_committed_files_are_those_of_the_models(folder: Path) -> None:
    assert stale(folder) == [], "run `make crds`"


def test_a_stale_file_is_named(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    (tmp_path / "tenants.yaml").write_text("old")
    done = subprocess.run(
        [sys.executable, "-m", "tenant_api.crd", "--check", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "tenants.yaml" in done.stderr and "make crds" in done.stderr and "tenanttemplates" not in done.stderr


def test_without_a_folder_all_definitions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    loaded = list(YAML(typ="safe").load_all(capsys.readouterr().out))
    assert [definition["metadata"]["name"] for definition in loaded] == [kind.name for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_every_field_is_explained(kind: Kind) -> None:
    for where, part in parts(schema(kind), kind.plural):
        if not where.endswith(("[]", ".metadata")):
            assert part.get("description", "").endswith("."), where


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_nothing_is_left_of_pydantic(kind: Kind) -> None:
    for where, part in parts(schema(kind), kind.plural):
        assert not {"title", "$ref", "const", "oneOf", "allOf"} & part.keys(), where
        assert part.get("pattern") not in MESSAGES, where
        assert isinstance(part.get("additionalProperties", {}), dict), where
        assert (
            "type" in part or "x-kubernetes-int-or-string" in part or "x-kubernetes-preserve-unknown-fields" in part
        ), where


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_what_people_write_is_bounded(kind: Kind) -> None:
    for where, part in parts(schema(kind)["properties"]["spec"], "spec"):
        if part.get("type") == "string" and "enum" not in part:
            assert "maxLength" in part, where
        if part.get("type") == "array":
            assert "maxItems" in part, where
        if "additionalProperties" in part:
            assert "maxProperties" in part, where


def test_defaults_are_spelled_as_people_write_them() -> None:
    template = schema(KINDS[1])["properties"]["spec"]["properties"]
    assert template["idle"]["properties"]["timeout"]["default"] == "15m"
    assert template["volume"]["properties"]["size"]["default"] == "5Gi"
    assert "default" not in template["idle"]


def test_short_names_differ() -> None:
    names = [name for kind in KINDS for name in (kind.plural, kind.model.__name__.lower(), *kind.short)]
    assert sorted(names) == ["ten", "tenant", "tenants", "tenanttemplate", "tenanttemplates", "tent"]
