from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_api.config import ConfigError
from tenant_api.config.json5 import parse_json5
from tenant_api.config.template_text import render_template_text

TENANT: dict[str, Any] = {
    "name": "ann",
    "userId": "42",
    "labels": {"plan": "gold", "zone": "eu"},
    "annotations": {"note": 'say "hi"', "items": "x"},
}


def render(text: str, tenant: dict[str, Any] = TENANT) -> str:
    return render_template_text(text, tenant).text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{ a: 1 }", "{ a: 1 }"),
        ('"{{ tenant.name }}-{{ tenant.userId }}"', '"ann-42"'),
        ("{{ tenant.labels.plan | default('free') }}", "gold"),
        ("{{ tenant.labels.nope | default('free') }}", "free"),
        ("{% if tenant.labels.plan == 'gold' %}1{% else %}2{% endif %}", "1"),
        ("{% if 'zone' in tenant.labels and tenant.labels.x is not defined %}1{% endif %}", "1"),
        ("{% for key, value in tenant.labels | items %}{{ key }}={{ value }};{% endfor %}", "plan=gold;zone=eu;"),
        (
            "{% for key in tenant.labels %}{{ loop.index }}{{ key }}{% if not loop.last %},{% endif %}{% endfor %}",
            "1plan,2zone",
        ),
        ("{% set n = tenant.name ~ '-' ~ 1 %}{{ n | upper | replace('-', '_') }}", "ANN_1"),
        ("{{ tenant.labels | tojson }}", '{"plan":"gold","zone":"eu"}'),
        ("{{ tenant.annotations.note | tojson }}", '"say \\"hi\\""'),
        ("{{ tenant.annotations.note }}", 'say \\"hi\\"'),
        ("{{ tenant.annotations.items }}", "x"),
        ("{{ tenant.annotations['items'] }}", "x"),
        (
            "{{ 1 + 2 }}{{ 'a' + 'b' }}{{ none }}{{ true }}{{ ['a'] | join }}{{ 'abc' | length }}{{ '7' | int + 1 }}",
            "3abnulltruea38",
        ),
        ("{# comment #}a{% raw %}{{ b }}{% endraw %}", "a{{ b }}"),
        ("{{ 'gold' if tenant.labels.plan == 'gold' else 'other' }}\n", "gold\n"),
    ],
)
def test_renders(text: str, result: str) -> None:
    assert render(text) == result


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%999999999d' % 1 }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ 'a' | center(10**9) }}",
        "{{ lipsum(n=10**6) }}",
        "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 100 + "{{ x }}",
        "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = x + x %}" * 100 + "{{ x }}",
        "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = [x, x] %}" * 100 + "{{ x | tojson }}",
        "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = x | replace('a', 'aaaaaaaaaaaaaaaa') %}" * 10 + "{{ x }}",
        "{% set x = 9 %}" + "{% set x = x + x %}" * 1000 + "{{ x }}",
        "{% for a in tenant.labels %}" * 30 + "x" + "{% endfor %}" * 30,
        "{% for a in tenant.name %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{{ '' .__class__.__mro__ }}",
        "{{ tenant.__class__ }}",
        "{{ tenant.keys }}",
        "{{ tenant.labels.items() }}",
        "{{ loop }}",
        "{{ self }}",
        "{{ _budget }}",
        "{{ cycler }}",
        "{{ tenant | attr('x') }}",
        "{{ tenant | _concat }}",
        "{{ tenant.nme }}",
        "{{ tenant.labels['a'] ~ 1 }}",
        "{{ 1 / 0 }}",
        "{{ 1 + 'a' }}",
        "{{",
        "{% if %}",
        "{% nope %}",
        "{{ " + "(" * 5000,
        "{{ tenant" + ".a" * 5000 + " }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{% if 1 %}" * 300 + "{% endif %}" * 300,
        "{{ 1" + " + 1" * 5000 + " }}",
        "{{ [" * 200,
        "{{ tenant.name[0:2] }}",
    ],
)
def test_bombs_and_holes_are_refused_quickly(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        render(text)
    assert time.process_time() - started < 5  # 0.6 s here at most
    assert caught.value.source == "template" and caught.value.hint


def test_a_loop_over_many_labels_ends_at_its_budget() -> None:
    tenant = {**TENANT, "labels": {f"label{index}": "x" for index in range(64)}}
    text = (
        "{% for a in tenant.labels %}{% for b in tenant.labels %}{% for c in tenant.labels %}"
        "{% for d in tenant.labels %}{% endfor %}" + ("{% endfor %}" * 3)
    )
    started = time.process_time()
    with pytest.raises(ConfigError, match="steps"):
        render(text, tenant)
    with pytest.raises(ConfigError, match="characters"):
        render(
            "{% for a in tenant.labels %}{% for b in tenant.labels %}" + "x" * 100 + "{% endfor %}{% endfor %}", tenant
        )
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("{\n a: 1,\n b: {{ tenant.labels.nope }} }", 3, "no 'nope'; there are plan, zone"),
        ("{\n{{ tenant.name | nope }}", 2, "no filter 'nope'"),
        ("{\n\n{{ tenant.name", 3, "unexpected"),
        ("{\n\n{{ 'a' * 3 }}", 3, "'*'"),
        ("{\r\n\r\n{{ nope }}", 3, "'nope' is undefined"),
    ],
)
def test_errors_name_the_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        render(text)
    assert caught.value.line == line
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ('{ a: "{{ tenant.name }}",\n  b: @ }', "@"),
        ("{% for a in tenant.labels %}\n\n{% endfor %}\n{ a: @ }", "@"),
        ('{\n  {% if tenant.name %}\n  a: "{{ tenant.userId }}{{ tenant.name }}", b: @\n  {% endif %} }', "@"),
        ("{# a\n b #}{ a:\r\n  @ }", "@"),
        ("{ a: {{ tenant.name }} }", "{{"),
    ],
)
def test_a_place_in_the_result_leads_back_to_the_template(text: str, mark: str) -> None:
    rendered = render_template_text(text, TENANT)
    offset = rendered.text.index("@" if "@" in text else "ann")
    before = rendered.text[:offset]
    found = rendered.template_place(before.count("\n") + 1, offset - before.rfind("\n"))
    plain = text.replace("\r\n", "\n")
    start = plain[: plain.index(mark)]
    assert found == (start.count("\n") + 1, len(start) - start.rfind("\n"))


@given(st.text(max_size=40), st.sampled_from("\"'"))
def test_a_value_in_quotes_stays_one_string(value: str, quote: str) -> None:
    text = "{ a: " + quote + "{{ tenant.annotations.note }}" + quote + ", b: {{ tenant.annotations.note | tojson }} }"
    rendered = render(text, {**TENANT, "annotations": {"note": value}})
    assert parse_json5(rendered) == {"a": value, "b": value}


PARTS = st.sampled_from(
    ["{{", "}}", "{%", "%}", "{#", "#}", " tenant", ".name", ".labels", "['", "']", " | ", "tojson", "if ", "for a in ", "endif ",
     "endfor ", "set x = ", "~", "+", "'a'", "1", "(", ")", "[", "]", "loop", "a", "\n", "-", " else ", "is defined",
     "raw ", "endraw "]
)  # fmt: skip


@given(st.lists(PARTS, max_size=25).map("".join))
def test_any_template_is_rendered_or_refused(text: str) -> None:
    try:
        json.dumps(render(text))
    except ConfigError as error:
        assert str(error)
