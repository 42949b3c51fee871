"""A byte stream is cut into the frames that it is made of, wherever the reads end."""

from __future__ import annotations

import random

import pytest
from websockets.frames import Frame, Opcode

from tenant_router.park.frames import CLOSE, PING, TEXT, Cut, Cutter

LIMIT = 1000


def stream(mask: bool) -> list[bytes]:
    return [
        Frame(Opcode.TEXT, b"short").serialize(mask=mask),
        Frame(Opcode.PING, b"now").serialize(mask=mask),
        Frame(Opcode.TEXT, b"x" * 300).serialize(mask=mask),
        Frame(Opcode.BINARY, b"large" * 1000).serialize(mask=mask),
        Frame(Opcode.TEXT, b"in ", fin=False).serialize(mask=mask),
        Frame(Opcode.CONT, b"parts").serialize(mask=mask),
        Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=mask),
    ]


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_any_cut_of_the_bytes_gives_the_same_frames(mask: bool, seed: int) -> None:
    frames = stream(mask)
    wire, dice, cutter = b"".join(frames), random.Random(seed), Cutter(LIMIT)
    seen: list[Cut | bytes] = []
    while wire:
        size = dice.randint(1, 400)
        seen += cutter.feed(wire[:size])
        wire = wire[size:]
    assert b"".join(one.raw if isinstance(one, Cut) else one for one in seen) == b"".join(frames)
    whole = [one for one in seen if isinstance(one, Cut)]
    assert [one.raw for one in whole if len(one.raw) < LIMIT] == [frame for frame in frames if len(frame) < LIMIT]
    assert [one.opcode for one in whole[:2]] == [TEXT, PING]
    assert [one.payload for one in whole[:3]] == [b"short", b"now", b"x" * 300]
    assert whole[-1].opcode == CLOSE
    assert cutter.boundary


def test_boundaries() -> None:
    frames, cutter = stream(True), Cutter(LIMIT)
    assert cutter.boundary
    list(cutter.feed(frames[0][:3]))
    assert not cutter.boundary
    assert cutter.divisible
    assert cutter.rest() == frames[0][:3]
    list(cutter.feed(frames[0][3:]))
    assert cutter.boundary
    list(cutter.feed(frames[3][:100]))  # a large frame has begun and was passed on in part
    assert not cutter.divisible
    list(cutter.feed(frames[3][100:]))
    assert cutter.boundary
    list(cutter.feed(frames[4]))
    assert not cutter.divisible  # between two fragments
    list(cutter.feed(frames[1]))
    assert not cutter.divisible
    list(cutter.feed(frames[5]))
    assert cutter.boundary
