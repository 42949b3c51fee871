from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tenant_api.token_edit import TokenEditError, TokenEntry, has_tenant, with_token, without_token

HASH = "0123456789abcdef" * 4
ENTRY = TokenEntry("tablet", HASH)

BLOCK = """\
# my tenants
apiVersion: openclaw-tenancy.dev/v1alpha1
kind:   Tenant     # aligned by hand
metadata: {name: ann,   labels: {a:  b}}
spec:
    userId: "42"
    templateRef: {name: standard}   # follow
    tokens:
    # my phone
    - name: phone
      sha256: 'aa'   # old

    # end of tokens
    config:
      long: "a                                                                                                        b"
---
kind: Tenant
metadata: {name: bob}
spec: {userId: "43"}
"""


def values(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def tokens(text: str, tenant: str = "ann") -> list[dict[str, Any]]:
    [found] = [value for value in values(text) if value and value.get("metadata", {}).get("name") == tenant]
    return found["spec"]["tokens"] or []


def added_lines(before: str, after: str) -> list[str]:
    """Return the lines that were added, asserting that every other one is as it was."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    head = 0
    while head < len(old) and old[head] == new[head]:
        head += 1
    tail = len(old) - head
    assert old[head:] == new[len(new) - tail :] if tail else True
    return new[head : len(new) - tail]


def test_a_block_list_grows_by_two_lines_and_nothing_else_changes() -> None:
    after = with_token(BLOCK, "ann", ENTRY)
    assert added_lines(BLOCK, after) == ["    - name: tablet\n", f'      sha256: "{HASH}"\n']
    assert after.index("tablet") < after.index("# end of tokens")


def test_a_token_comes_and_goes_without_a_trace() -> None:
    assert without_token(with_token(BLOCK, "ann", ENTRY), "ann", "tablet") == BLOCK


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ("  tokens:\n    - {name: a, sha256: b}\n", "  tokens:\n    - {name: a, sha256: b}\n    - {FLOW}\n"),
        ("  tokens:\n  - name: a # c", "  tokens:\n  - name: a # c\n  - name: tablet\n    sha256: HASH"),
        ("  tokens: []  # none\n  power: Auto\n", "  tokens:  # none\n    - BLOCK\n  power: Auto\n"),
        ("  tokens:\n  power: Auto\n", "  tokens:\n    - BLOCK\n  power: Auto\n"),
        ("  tokens: ~ # x\n", "  tokens: # x\n    - BLOCK\n"),
        ("  tokens: [{name: a, sha256: b}]\n", "  tokens: [{name: a, sha256: b}, {FLOW}]\n"),
        ("  tokens: [\n    {name: a},  # a\n  ]\n", "  tokens: [\n    {name: a}, {FLOW},  # a\n  ]\n"),
        ("  config: |\n    a\n", "  tokens:\n    - BLOCK\n  config: |\n    a\n"),
    ],
)  # fmt: skip
def test_every_way_to_write_a_list(spec: str, result: str) -> None:
    head = "kind: Tenant\nmetadata: {name: ann}\nspec:\n  userId: '42'\n  templateRef: {name: s}\n"
    result = result.replace("BLOCK", "name: tablet\n      sha256: HASH").replace("FLOW", "name: tablet, sha256: HASH")
    assert with_token(head + spec, "ann", ENTRY) == head + result.replace("HASH", f'"{HASH}"')


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "Tenant", "metadata": {"name": "ann"}, "spec": {"userId": "42", "tokens": []}}',
        '{"kind": "Tenant", "metadata": {"name": "ann"}, "spec": {"userId": "42"}}\n',
        '{\n "kind": "Tenant",\n "metadata": {"name": "ann"},\n "spec": {\n  "tokens": [\n   {"name": "a"}\n  ]\n }\n}\n',
        "kind: Tenant\nmetadata: {name: ann}\nspec: {userId: '42', tokens: }\n",
        "kind: Tenant\nmetadata: {name: ann}\nspec: {userId: '42'}\n",
        "kind: Tenant\nmetadata:\n  name: ann\nspec:\n  templateRef:\n    name: s\n\n# bye\n",
        "kind: Tenant\r\nmetadata: {name: ann}\r\nspec:\r\n  userId: '42'\r\n",
        "\ufeffkind: Tenant\nmetadata: {name: ann}\nspec:\n  userId: '42'",
        "--- # first\nkind: Tenant\nmetadata: {name: ann}\nspec:\n  tokens:\n  -\n    name: a\n    sha256: b\n...\n",
        "x: &t {name: ann}\nkind: Tenant\nmetadata: *t\nspec: {userId: '42'}\n",
    ],
)
def test_other_files(text: str) -> None:
    before = tokens(text) if "tokens" in text else []
    after = with_token(text, "ann", ENTRY)
    assert tokens(after) == [*before, {"name": "tablet", "sha256": HASH}]
    assert tokens(without_token(after, "ann", "tablet")) == before
    assert ("\r\n" in after) == ("\r\n" in text) and after.count("\r") == (after.count("\n") if "\r" in text else 0)


def test_expiry_is_written_as_the_model_reads_it() -> None:
    after = with_token(BLOCK, "bob", TokenEntry("x", HASH, datetime(2030, 1, 31, 12, tzinfo=UTC)))
    assert f'tokens: [{{name: x, sha256: "{HASH}", expiresAt: "2030-01-31T12:00:00Z"}}]' in after


def test_words_that_yaml_would_guess_about_are_quoted() -> None:
    for name in ("no", "true", "1", "1e5", "null"):
        assert f'- name: "{name}"\n' in with_token(BLOCK, "ann", TokenEntry(name, HASH))


def test_removing_from_the_middle_keeps_the_others() -> None:
    listed = "    - name: a\n      sha256: b\n    # second\n    - name: c\n      sha256: d # e\n    - name: f\n"
    text = f"kind: Tenant\nmetadata: {{name: ann}}\nspec:\n  tokens:\n{listed}"
    assert without_token(text, "ann", "c") == text.replace("    - name: c\n      sha256: d # e\n", "")
    flow = "kind: Tenant\nmetadata: {name: ann}\nspec: {tokens: [{name: a}, {name: b}, {name: c}]}\n"
    for name, left in (
        ("a", "[{name: b}, {name: c}]"),
        ("b", "[{name: a}, {name: c}]"),
        ("c", "[{name: a}, {name: b}]"),
    ):
        assert left in without_token(flow, "ann", name)
    assert "tokens: []\n" in without_token(BLOCK, "ann", "phone")


@pytest.mark.parametrize(
    ("text", "tenant", "name", "says"),
    [
        (BLOCK, "eve", "tablet", "no tenant 'eve'"),
        (BLOCK, "ann", "phone", "already"),
        ("kind: Tenant\nmetadata: {name: ann}\nspec: {tokens: 5}\n", "ann", "x", "no list"),
        ("kind: Tenant\nmetadata: {name: ann}\nspec: &s {userId: '1'}\nother: *s\n", "ann", "x", "by hand"),
        ("base: &b {userId: '1'}\nkind: Tenant\nmetadata: {name: ann}\nspec: *b\n", "ann", "x", "by hand"),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, tenant: str, name: str, says: str) -> None:
    with pytest.raises(TokenEditError, match=says):
        with_token(text, tenant, TokenEntry(name, HASH))


def test_a_token_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(TokenEditError, match="its tokens are: phone"):
        without_token(BLOCK, "ann", "nope")


def test_a_broken_neighbour_does_not_keep_a_token_from_being_added() -> None:
    text = BLOCK + "---\nspec: [\n"
    assert tokens(with_token(text, "ann", ENTRY).removesuffix("---\nspec: [\n"))[1]["name"] == "tablet"
    assert has_tenant(text, "bob") and not has_tenant(text, "eve")


LINES = st.lists(
    st.sampled_from(
        [
            "  userId: '42'",
            "  # c",
            "",
            "  templateRef: {name: s}",
            "  config: {a: [1, 2]}",
            "  note: |\n    x\n\n    y",
            "  power: Auto",
        ]
    ),
    unique=True,
)
TOKENS = st.sampled_from(
    ["", "  tokens: []", "  tokens:", "  tokens:\n  - name: a\n    sha256: b", "  tokens:\n      # c\n      - {name: a}\n\n",
     "  tokens: [{name: a}]", "  tokens: [\n    {name: a},\n    {name: b}\n  ]"]
)  # fmt: skip


@given(LINES, TOKENS, LINES, st.sampled_from(["", "\n", "\n# end\n", "\n---\na: 1\n"]))
def test_adding_and_removing_changes_the_tokens_and_nothing_else(
    before: list[str], listed: str, after: list[str], end: str
) -> None:
    after = [line for line in after if line not in before or line in ("", "  # c")]
    text = "kind: Tenant\nmetadata: {name: ann}\nspec:\n" + "\n".join([*before, listed, *after]) + end
    if not isinstance(values(text)[0]["spec"], dict):
        return
    expected = values(text)
    grown = with_token(text, "ann", ENTRY)
    expected[0]["spec"]["tokens"] = [*(expected[0]["spec"].get("tokens") or []), {"name": "tablet", "sha256": HASH}]
    assert values(grown) == expected
    shrunk = without_token(grown, "ann", "tablet")
    expected[0]["spec"]["tokens"].pop()
    assert values(shrunk) == expected
    comments = [line for line in text.splitlines() if "#" in line]
    assert [line for line in shrunk.splitlines() if "#" in line] == comments
