from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenant_api.load import load_directory
from tenant_api.loaded import FileError, Loaded

TEMPLATE = """\
apiVersion: openclaw-tenancy.dev/v1alpha1
kind: TenantTemplate
metadata: {name: standard}
spec:
  version: "3"
"""
TENANT = """\
apiVersion: openclaw-tenancy.dev/v1alpha1
kind: Tenant
metadata: {name: NAME}
spec:
  userId: "42"
  templateRef: {name: standard}
  tokens:
    - {name: phone, sha256: "HASH"}
"""


def tenant(name: str, digit: str | None = None, more: str = "") -> str:
    return TENANT.replace("NAME", name).replace("HASH", (digit or name[0].encode().hex()[-1]) * 64) + more


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "10-template.yaml").write_text(TEMPLATE)
    (tmp_path / "20-ann.yaml").write_text(tenant("ann", "a"))
    (tmp_path / "30-two.yml").write_text(tenant("bob", "b") + "---\n" + tenant("cid", "c"))
    return tmp_path


def test_reads_several_files_and_documents(directory: Path) -> None:
    loaded = load_directory(directory)
    assert loaded.errors == []
    assert list(loaded.tenants) == ["ann", "bob", "cid"]
    assert list(loaded.templates) == ["standard"]
    assert loaded.files["cid"] == str(directory / "30-two.yml")
    assert loaded.template_of(loaded.tenants["ann"].spec.template_ref) is loaded.templates["standard"]


def test_leaves_alone_what_is_none_of_its_business(directory: Path) -> None:
    (directory / ".hidden.yaml").write_text("[")
    (directory / "notes.txt").write_text("[")
    (directory / "sub").mkdir()
    (directory / "sub" / "a.yaml").write_text("[")
    (directory / "40-namespace.yaml").write_text(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: tenants}\n---\n# nothing\n"
    )
    assert load_directory(directory).errors == []


def only(loaded: Loaded) -> FileError:
    assert len(loaded.errors) == 1, loaded.errors
    return loaded.errors[0]


@pytest.mark.parametrize(
    ("text", "place", "field", "says"),
    [
        (tenant("eve", "e", "  confg: {}\n"), (9, 3), "spec.confg", "did you mean 'config'?"),
        (tenant("eve", "e").replace('"42"', "42"), (5, 11), "spec.userId", "quotes"),
        (tenant("eve", "x"), (8, 29), "spec.tokens[0].sha256", "token new NAME"),
        (
            tenant("eve", "e").replace("standard}", 'standard, version: "9"}'),
            (6, 42),
            "spec.templateRef.version",
            "there is 3",
        ),
        (tenant("eve", "e").replace("standard", "standrd"), (6, 23), "spec.templateRef.name", "there is standard"),
        (tenant("eve", "e").replace("Tenant", "Tennant"), (2, 7), "kind", "write kind: Tenant"),
        (tenant("eve", "e").replace("v1alpha1", "v1"), (1, 13), "apiVersion", "v1alpha1"),
        (tenant("eve", "e").replace("kind: Tenant\n", ""), (1, 1), "kind", "is missing"),
        (tenant("eve", "e").replace("{name: eve}", "{}"), (3, 11), "metadata.name", "add name"),
        (
            tenant("eve", "e", "  config: {gateway: {auth: {}}}\n"),
            (9, 28),
            "spec.config.gateway.auth",
            "belongs to OpenClaw Tenancy",
        ),
        (
            tenant("eve", "e", "  credentials: {secretRef: {name: keys}}\n"),
            (9, 35),
            "spec.credentials.secretRef.name",
            "not there",
        ),
        (tenant("eve", "a"), (8, 29), "spec.tokens[0].sha256", "tenant 'ann'"),
        (tenant("ann", "e"), (3, 18), "metadata.name", "20-ann.yaml already"),
        ("a: [\n", (2, 1), "", "no YAML"),
        ("- a\n", (1, 1), "", "no resource"),
        ("hello\n", (1, 1), "", "no resource"),
    ],
)
def test_a_mistake_names_file_line_column_field_and_fix_and_hides_no_other(
    directory: Path, text: str, place: tuple[int, int], field: str, says: str
) -> None:
    (directory / "40-eve.yaml").write_text("---\n# a comment\n" + text + "---\n" + tenant("zoe", "f"))
    loaded = load_directory(directory)
    error = only(loaded)
    assert error.file == str(directory / "40-eve.yaml")
    assert (error.line, error.column) == (place[0] + 2, place[1])
    assert error.field == field
    assert says in str(error)
    assert {"ann", "bob", "cid", "zoe"} <= set(loaded.tenants)
    assert loaded.files["ann"] == str(directory / "20-ann.yaml")


def test_a_broken_template_text_is_found_in_the_file(directory: Path) -> None:
    (directory / "10-template.yaml").write_text(TEMPLATE + "  config: |\n    {\n      a: oops,\n    }\n")
    loaded = load_directory(directory)
    first, *others = loaded.errors
    assert (first.line, first.column, first.kind, first.field) == (8, 10, "TenantTemplate", "spec.config")
    assert loaded.templates == {} and loaded.tenants == {}
    assert all("a template that is broken" in error.message for error in others) and len(others) == 3


def test_a_template_that_breaks_for_one_tenant_is_that_tenants_error(directory: Path) -> None:
    text = TEMPLATE + "  config: |\n    {\n      zone: '{{ tenant.labels.zone }}',\n    }\n"
    (directory / "10-template.yaml").write_text(text)
    (directory / "20-ann.yaml").write_text(tenant("ann", "a").replace("{name: ann}", "{name: ann, labels: {zone: eu}}"))
    loaded = load_directory(directory)
    assert list(loaded.tenants) == ["ann"]
    assert {(error.kind, error.name, error.line) for error in loaded.errors} == {
        ("Tenant", "bob", 8),
        ("Tenant", "cid", 8),
    }
    assert all(error.file.endswith("10-template.yaml") for error in loaded.errors)


def test_versions_of_a_template_follow_or_pin(directory: Path) -> None:
    (directory / "11-template.yaml").write_text(TEMPLATE.replace('"3"', '"10"'))
    (directory / "20-ann.yaml").write_text(tenant("ann", "a").replace("standard}", 'standard, version: "3"}'))
    loaded = load_directory(directory)
    assert loaded.errors == []
    assert loaded.templates["standard"].spec.version == "10"
    for name, version in (("ann", "3"), ("bob", "10")):
        found = loaded.template_of(loaded.tenants[name].spec.template_ref)
        assert found is not None and found.spec.version == version


def test_secrets_are_read(directory: Path) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {A: b}\ndata: {C: ZA==}\n"
    (directory / "40-keys.yaml").write_text(secret)
    loaded = load_directory(directory)
    assert loaded.errors == []
    assert loaded.secrets["keys"].values() == {"A": "b", "C": "d"}
    assert "ZA==" not in repr(loaded.secrets["keys"])


def test_what_kubectl_exports_loads_again(directory: Path) -> None:
    def item(text: str) -> str:
        return "- " + text.replace("\n", "\n  ").rstrip() + "\n"

    text = "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n"
    text += item(tenant("dan", "d")) + item(tenant("eve", "e").replace('"42"', "42"))
    (directory / "40-export.yaml").write_text(text)
    loaded = load_directory(directory)
    assert "dan" in loaded.tenants
    assert (only(loaded).name, only(loaded).line, only(loaded).column) == ("eve", 17, 13)


def test_odd_files_are_reported(directory: Path) -> None:
    os.mkfifo(directory / "40-fifo.yaml")
    (directory / "41-latin.yaml").write_bytes(b"a: 1\nb: \xe4\n")
    (directory / "42-dir.yaml").mkdir()
    (directory / "43-gone.yaml").symlink_to(directory / "nothing")
    (directory / "44-big.yaml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    loaded = load_directory(directory)
    found = {Path(error.file).name: error for error in loaded.errors}
    assert list(found) == ["40-fifo.yaml", "41-latin.yaml", "42-dir.yaml", "44-big.yaml"]
    assert (found["41-latin.yaml"].line, found["41-latin.yaml"].column) == (2, 4)
    assert "split" in found["44-big.yaml"].hint
    assert list(loaded.tenants) == ["ann", "bob", "cid"]


def test_no_directory_is_an_error_and_no_exception(tmp_path: Path) -> None:
    assert "can't be read" in only(load_directory(tmp_path / "nothing")).message
    (tmp_path / "a.yaml").write_text(TEMPLATE + "---\n" + tenant("ann"))
    assert list(load_directory(tmp_path / "a.yaml").tenants) == ["ann"]


def test_a_broken_file_changes_nothing_until_it_is_repaired(directory: Path) -> None:
    good = load_directory(directory)
    (directory / "20-ann.yaml").write_text("spec: [")
    (directory / "10-template.yaml").write_text("spec: [")
    (directory / "30-two.yml").write_text(tenant("bob", "b"))
    now = load_directory(directory, good).keeping(good)
    assert now.tenants["ann"] is good.tenants["ann"]
    assert now.templates["standard"] is good.templates["standard"]
    assert "cid" not in now.tenants  # its own file is in order and does not have it any more
    (directory / "10-template.yaml").write_text(TEMPLATE)
    (directory / "20-ann.yaml").unlink()
    later = load_directory(directory, now).keeping(now)
    assert "ann" not in later.tenants and later.errors == [] and list(later.tenants) == ["bob"]


def test_nobody_takes_a_token_from_whoever_has_it(directory: Path) -> None:
    good = load_directory(directory)
    (directory / "00-thief.yaml").write_text(tenant("thief", "a"))
    now = load_directory(directory, good)
    assert "thief" not in now.tenants and "ann" in now.tenants
    assert only(now).name == "thief"
    (directory / "20-ann.yaml").write_text("spec: [")
    broken = load_directory(directory, now).keeping(now)
    assert "thief" not in broken.tenants and broken.tenants["ann"] is good.tenants["ann"]
    assert any(error.name == "thief" for error in broken.errors)
    # Without a past, the first file has it.
    (directory / "20-ann.yaml").write_text(tenant("ann", "a"))
    assert "thief" in load_directory(directory).tenants


def test_what_has_not_changed_is_not_parsed_again(directory: Path) -> None:
    first = load_directory(directory)
    (directory / "20-ann.yaml").write_text(tenant("ann", "d"))
    second = load_directory(directory, first)
    assert second.tenants["bob"] is first.tenants["bob"]
    assert second.tenants["ann"] is not first.tenants["ann"]


def test_a_thousand_tenants_load_and_reload(tmp_path: Path) -> None:
    documents = [TENANT.replace("NAME", f"user-{index}").replace("HASH", f"{index:064x}") for index in range(1000)]
    (tmp_path / "a.yaml").write_text(TEMPLATE)
    (tmp_path / "b.yaml").write_text("---\n".join(documents))
    started = time.process_time()
    loaded = load_directory(tmp_path)
    first = time.process_time() - started
    assert loaded.errors == [] and len(loaded.tenants) == 1000
    started = time.process_time()
    load_directory(tmp_path, loaded)
    again = time.process_time() - started
    assert again < first / 2, (first, again)  # 2.6 s and 0.15 s here


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_any_bytes_are_files_or_errors(directory: Path, data: bytes) -> None:
    (directory / "25-any.yaml").write_bytes(data)
    loaded = load_directory(directory)
    assert set(loaded.tenants) == {"ann", "bob", "cid"}
    assert all(error.file.endswith("25-any.yaml") and str(error) for error in loaded.errors)


SCALARS = st.sampled_from(
    ["x", "{}", "[]", "~", "1", "true", '""', "3.5", "&a b", "*a", "|\n   x", "15m", "5Gi", '"{{"', "Tenant", "!!int 1"]
)
KEYS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "spec", "  name", "  userId", "  templateRef", "  tokens", "  config", "  labels",
     "  version", "  protected", "  limits", "    name", "    a", "  - name", "    sha256", "stringData", "data", "status"]
)  # fmt: skip


@given(
    st.sampled_from(["Tenant", "TenantTemplate", "Secret", "Other"]), st.lists(st.tuples(KEYS, SCALARS), max_size=12)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_any_resource_is_loaded_or_refused(directory: Path, kind: str, lines: list[tuple[str, str]]) -> None:
    version = "v1" if kind == "Secret" else "openclaw-tenancy.dev/v1alpha1"
    text = f"apiVersion: {version}\nkind: {kind}\n" + "".join(f"{key}: {value}\n" for key, value in lines)
    (directory / "25-any.yaml").write_text(text)
    loaded = load_directory(directory)
    assert {"ann", "bob", "cid"} <= set(loaded.tenants)
    assert all(str(error) for error in loaded.errors)
