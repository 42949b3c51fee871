from __future__ import annotations

import resource
from datetime import datetime
from pathlib import Path

import pytest

from tenant_api.load import load_directory
from tenant_api.token_edit import TokenEditError
from tenant_api.token_files import issue_token, revoke_token
from tenant_api.tokens import token_hex

TEXT = """\
# both kinds in one file
apiVersion: openclaw-tenancy.dev/v1alpha1
kind: TenantTemplate
metadata: {name: standard}
spec: {version: "3"}
---
apiVersion: openclaw-tenancy.dev/v1alpha1
kind: Tenant
metadata: {name: ann}
spec:
  userId: "42"   # hers
  templateRef: {name: standard}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text("a: [broken\n")
    (tmp_path / "b.yaml").write_text(TEXT)
    return tmp_path


def test_a_new_token_opens_the_tenant_and_is_nowhere_in_clear(directory: Path) -> None:
    issued = issue_token(directory, "ann", "phone")
    assert issued.file == directory / "b.yaml"
    text = issued.file.read_text()
    assert issued.token not in text and issued.token not in repr(issued)
    [token] = load_directory(directory).tenants["ann"].spec.tokens
    assert (token.name, token.sha256) == ("phone", token_hex(issued.token))
    assert "# hers" in text and "# both kinds" in text


def test_a_revoked_token_is_gone_and_the_file_as_it_was(directory: Path) -> None:
    issue_token(directory, "ann", "phone")
    assert revoke_token(directory, "ann", "phone") == directory / "b.yaml"
    assert load_directory(directory).tenants["ann"].spec.tokens == []


def test_mode_and_link_stay_and_nothing_is_left_behind(directory: Path, tmp_path: Path) -> None:
    real = directory / "sub"
    real.mkdir()
    (directory / "b.yaml").rename(real / "b.yaml")
    (real / "b.yaml").chmod(0o640)
    (directory / "b.yaml").symlink_to(real / "b.yaml")
    issue_token(directory, "ann", "phone")
    assert (directory / "b.yaml").is_symlink()
    assert (real / "b.yaml").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in real.iterdir()) == ["b.yaml"]


@pytest.mark.parametrize(
    ("tenant", "name", "expires", "says"),
    [
        ("eve", "phone", None, "no tenant 'eve'"),
        ("ann", "My Phone", None, "write 'my-phone'"),
        ("ann", "phone", datetime(2030, 1, 1), "time zone"),
    ],
)
def test_a_refusal_changes_nothing(
    directory: Path, tenant: str, name: str, expires: datetime | None, says: str
) -> None:
    with pytest.raises(TokenEditError, match=says):
        issue_token(directory, tenant, name, expires)
    assert (directory / "b.yaml").read_text() == TEXT
    assert sorted(path.name for path in directory.iterdir()) == ["a.yaml", "b.yaml"]


def test_a_directory_that_is_not_there_is_an_edit_error(tmp_path: Path) -> None:
    with pytest.raises(TokenEditError, match="No such file"):
        issue_token(tmp_path / "nothing", "ann", "phone")


def test_a_full_disk_leaves_the_file_as_it_was(directory: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(TokenEditError, match="too large"):
            issue_token(directory, "ann", "phone")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (directory / "b.yaml").read_text() == TEXT
    assert sorted(path.name for path in directory.iterdir()) == ["a.yaml", "b.yaml"]
