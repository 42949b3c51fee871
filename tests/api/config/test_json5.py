"""Our JSON5 reader beside the `json5` package, which is slow and right."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import json5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenant_api.config.json5 import MAX_CHARS, Json5Error, parse_json5

LITERALS = [
    "0", "-0", "+1", ".5", "5.", "1e3", "1E-3", "0x1F", "-0xa", "Infinity", "-Infinity", "+Infinity", "true", "false", "null",
    '"a"', "'a'", '"\\u00e9\\x41\\n\\0\\\'\\q"', "'a\\\nb'", "'a\\\r\nb'", '"\u2028"', "[]", "[1,]", "{}", "{a:1,}", "{'a b':1}",
    "{$_a1:1}", "{\\u0061b:1}", "{ñ:1}", "{null:1, true:2}", "/*x*/1//y", "//y\n1", "\ufeff1", "\xa01\u2003", "[1 , 2]", "1.5e+3",
    "{a:{b:[{c:'d'}]}}", "'\\v\\f\\b\\t'", "0.0", "-.5e1",
]  # fmt: skip
BROKEN = [
    "", " ", "01", "1..2", "0x", "1e", "+", "--1", "truee", "undefined", "a", "[1 2]", "[,]", "{,}", "{a}", "{a:}",
    "{a:1 b:2}", "{1:2}",
    '"a', "'a\nb'", '"\\1"', '"\\x4"', '"\\u12"', "/*", "1 /*", "[", "{", "{a:1", "]", "1 2", "{a-b:1}", "#", "`a`", "1_000",
    "NaNa", "0b1",
    "//", "{\"a\":1]", "\x00", "\x1c1", "1\x85",
]  # fmt: skip


@pytest.mark.parametrize("text", LITERALS)
def test_reads_what_the_json5_package_reads(text: str) -> None:
    assert repr(parse_json5(text)) == repr(json5.loads(text))


@pytest.mark.parametrize("text", BROKEN)
def test_refuses_what_is_no_json5(text: str) -> None:
    with pytest.raises(Json5Error):
        parse_json5(text)


def test_two_escapes_make_one_character_as_in_javascript() -> None:
    assert parse_json5("'\\uD83D\\uDE00'") == "\N{GRINNING FACE}"


def test_nan() -> None:
    value = parse_json5("NaN")
    assert isinstance(value, float) and math.isnan(value)


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("{\n  a: 1\n  b: 2\n}", 3, 3, "','"),
        ("{\r\n a: oops,\r\n}", 2, 5, "needs quotes"),
        ("{ a: 1,\n\n  a: 2 }", 3, 3, "twice"),
        ('{ a: "x', 1, 6, "never closed"),
        ("{ a: 1", 1, 7, "end of the text"),
        ("[1,\n /* ", 2, 2, "comment"),
        ('["ok\\1"]', 1, 5, "escape"),
        ("[" * 100, 1, 33, "deeper"),
        ("{\u2028 a b", 2, 4, "':'"),
        ("{a: 1" + "0" * 400 + "}", 1, 5, "characters"),
    ],
)
def test_errors_say_where(text: str, line: int, column: int, says: str) -> None:
    with pytest.raises(Json5Error) as caught:
        parse_json5(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert says in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.booleans(), st.integers(0, 3))
def test_all_of_json_is_json5(value: Any, ascii_only: bool, indent: int) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent or None)
    assert repr(parse_json5(text)) == repr(value)


@given(st.text(alphabet="{}[]:,'\"\\/*-+.0123456789eExuabtrflsn \n\r\u2028NaI$_", max_size=30))
@settings(max_examples=300)
def test_agrees_with_the_json5_package_on_any_text(text: str) -> None:
    try:
        expected = ("ok", repr(json5.loads(text, allow_duplicate_keys=False)))
    except (ValueError, RecursionError):
        expected = ("error", "")
    try:
        found = ("ok", repr(parse_json5(text)))
    except Json5Error as error:
        assert error.line >= 1 and error.column >= 1
        found = ("error", "")
    assert found == expected


def test_is_quick_enough_to_render_on_every_wake() -> None:
    text = json.dumps({f"key{index}": {"list": [1, 2.5, "text", None, True]} for index in range(1000)})
    started = time.process_time()
    parse_json5(text)
    assert time.process_time() - started < 1  # 20 ms here for 57 KB; the package needs 1.4 s


def test_size_is_bounded() -> None:
    with pytest.raises(Json5Error, match="more than"):
        parse_json5('"' + "a" * MAX_CHARS + '"')
