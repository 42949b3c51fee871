from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenant_api.documents import Document, DocumentError, Position, read_documents, split_documents


def one(text: str) -> Document:
    [document] = read_documents(text)
    assert isinstance(document, Document), document
    return document


def broken(text: str) -> DocumentError:
    errors = [document for document in read_documents(text) if isinstance(document, DocumentError)]
    assert len(errors) == 1, errors
    return errors[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: 0o17", {"a": 15}),
        ("a: 0x1F", {"a": 31}),
        ("a: 017", {"a": 17}),
        ("a: yes", {"a": "yes"}),
        ("a: true", {"a": True}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: 1.5e3", {"a": 1500.0}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: 1_000", {"a": "1_000"}),
        ('a: "1"', {"a": "1"}),
        ("a: !!str 1", {"a": "1"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    ],
)
def test_reads_yaml_by_the_core_schema(text: str, value: Any) -> None:
    assert one(text).value == value


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a: 1\nb: [", 2, 5, "no YAML"),
        ("a: 1\n b: 2", 2, 3, "no YAML"),
        ("a: 1\na: 2", 2, 1, "twice"),
        ("a: !!python/object:os.system x", 1, 4, "tag"),
        ("a: !secret x", 1, 4, "tag"),
        ("a: !!int x", 1, 4, "no int"),
        ("1: 2", 1, 1, "no text: 1"),
        ("a: 1\n? [b]\n: 2", 2, 3, "no text"),
        ("a: &x [*x]", 1, 4, "itself"),
        ("a: *x", 1, 4, "undefined alias"),
        ("a: {<<: 3}", 1, 9, "mapping only"),
        ("\ta: 1", 1, 1, "no YAML"),
    ],
)
def test_says_what_is_wrong_and_where(text: str, line: int, column: int, says: str) -> None:
    error = broken(text)
    assert (error.position.line, error.position.column) == (line, column), error
    assert says in error.message and error.hint


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in pairwise("abcdefghi")),
        "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{p: *{a}, q: *{a}}}\n" for a, b in pairwise("abcdefghijklmnopqrstu")),
        "a: &a {x: 1}\nb: {<<: [" + ",".join(["*a"] * 60_000) + "]}",
        "[" * 5000,
        "- " * 5000,
        "{a: " * 500 + "}" * 500,
        "&a [" * 100 + "]" * 100,
    ],
)  # fmt: skip
def test_bombs_are_refused_in_bounded_time(text: str) -> None:
    started = time.process_time()
    error = broken(text)
    assert "deeper" in error.message or "aliases unfolded" in error.message, error
    assert time.process_time() - started < 20  # 3 s here at most, for 60,000 aliases


def test_a_file_of_empty_documents_is_read_at_once() -> None:
    started = time.process_time()
    assert [document for _, part in split_documents("--- # c\n\n" * 20_000) for document in read_documents(part)] == []
    assert time.process_time() - started < 2  # 0.05 s here
    assert one("---\n# a # b\n# c\nd: 1 # e\n").value == {"d": 1}
    assert isinstance(next(iter(read_documents("---#x\n"))), Document)


def test_positions_lead_to_keys_and_values() -> None:
    document = one("# c\nspec:\n  tokens:\n    - name: a\n      sha256: b\n  config: |2\n\n     x\n")
    assert document.position(("spec", "tokens", 0, "sha256")) == Position(5, 15)
    assert document.position(("spec", "tokens", 0, "sha256"), of_key=True) == Position(5, 7)
    assert document.position(("spec", "tokens", 0, "nope", "deeper")) == Position(4, 7)
    assert document.position(("nope",)) == Position(2, 1)
    assert document.block_texts[("spec", "config")].line == 7


def test_a_file_is_cut_at_its_document_marks() -> None:
    parts = split_documents("a: |\n  ---x\n--- # second\nb: 1\n---\n")
    assert parts == [(0, "a: |\n  ---x\n"), (2, "--- # second\nb: 1\n"), (4, "---\n")]
    assert split_documents("---\na: 1") == [(0, "---\na: 1")]
    assert split_documents("%YAML 1.2\n---\na: 1\n") == [(0, "%YAML 1.2\n---\na: 1\n")]
    assert "".join(part for _, part in parts) == "a: |\n  ---x\n--- # second\nb: 1\n---\n"


PARTS = st.sampled_from(
    ["a", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ",", "&x ", "*x", "!!str ", "!", "|", ">", '"', "'", "#", "---\n", "...\n",
     "%TAG ", "? ", "<<", "1", "\t", "\r\n", "\x00", "\ud800", "\x85", "\ufeff", "\\", "@", "~", "2", "+", "|2\n"]
)  # fmt: skip


@given(st.lists(PARTS, max_size=30).map("".join) | st.text(max_size=60))
@settings(max_examples=400)
def test_any_text_is_read_or_refused(text: str) -> None:
    for _, part in split_documents(text):
        for document in read_documents(part):
            assert isinstance(document, Document) or str(document)
