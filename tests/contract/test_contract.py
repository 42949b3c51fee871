"""The same calls against upstream's gateway and the native one: what comes back has the same shape and meaning.

What differs is listed with its reason in `differences.py`, and nothing is listed that does not differ. After a change,
`WRITE_CONTRACT_TABLE=1 pytest tests/contract` writes the table in docs/native-gateway.md anew.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from calls import Answer, Recording
from differences import DIFFERENCES, EVENTS_NOT_THERE, Difference
from shape import differences
from table import render, write, written

from tenant_gateway.methods.registry import METHODS

pytestmark = [pytest.mark.openclaw, pytest.mark.timeout(900)]

Recordings = tuple[Recording, Recording]


def known(name: str) -> list[Difference]:
    method = name if name.startswith(("agent#", "chat#")) and "#" in name else name.partition("#")[0]
    return [difference for difference in DIFFERENCES if {name, method} & set(difference.methods)]


def undeclared(name: str, theirs: Any, ours: Any, listed: list[Difference]) -> list[str]:
    lacks, adds, other = differences(theirs, ours)
    told = [f"{name} lacks {place}" for place in lacks if not _covered(place, "lacks", listed)]
    told += [f"{name} adds {place}" for place in adds if not _covered(place, "adds", listed)]
    return told + [
        f"{name} has another type at {place}"
        for place in other
        if not _covered(place.partition(":")[0], "lacks", listed)
    ]


def _covered(place: str, kind: str, listed: list[Difference]) -> bool:
    # All of them are asked, since each notes what it was needed for.
    return True in [difference.covers(place, getattr(difference, kind)) for difference in listed]


def _answers(name: str, theirs: Answer, ours: Answer) -> list[str]:
    listed = known(name.partition("#")[0])
    if True in [difference.means_otherwise(name) for difference in listed]:
        return [] if theirs.refused or ours.refused else undeclared(name, theirs.payload, ours.payload, listed)
    if theirs.refused != ours.refused or theirs.meaning != ours.meaning:
        return [f"{name} means {json.dumps([theirs.meaning, ours.meaning])}; {theirs.payload} / {ours.payload}"[:900]]
    return [] if theirs.refused else undeclared(name, theirs.payload, ours.payload, listed)


def test_answers_and_events_differ_only_as_listed(recordings: Recordings) -> None:
    upstream, native = recordings
    assert upstream.answers.keys() == native.answers.keys()
    found = [told for name in upstream.answers for told in _answers(name, upstream.answers[name], native.answers[name])]
    for name in sorted(upstream.events.keys() | native.events.keys()):
        if name in upstream.events and name in native.events:
            found += undeclared(name, upstream.events[name], native.events[name], known(name))
        elif name not in EVENTS_NOT_THERE:
            found.append(f"event {name} comes from one of the two only")
    found += [
        f"listed, and does not differ: {place} ({difference.why})"
        for difference in DIFFERENCES
        if not difference.sometimes
        for place in sorted(difference.unused())
    ]
    assert not found, "\n".join(found)


def test_every_method_is_called(recordings: Recordings) -> None:
    called = {name.partition("#")[0] for name in recordings[1].answers}
    assert set(METHODS) - called == set()
    assert set(recordings[1].methods) == set(METHODS)


HIDDEN = {"chat.inject", "sessions.get", "sessions.resolve"}
"""Upstream serves them and does not name them in its hello."""


def test_no_method_is_invented(recordings: Recordings) -> None:
    assert set(recordings[1].methods) - set(recordings[0].methods) == HIDDEN


def test_the_document_tells_of_every_method(recordings: Recordings) -> None:
    table = render(recordings[1].methods, recordings[0].methods)
    if os.environ.get("WRITE_CONTRACT_TABLE"):
        write(table)
    assert written() == table, "docs/native-gateway.md: run WRITE_CONTRACT_TABLE=1 pytest tests/contract"
