"""Files that come with a message: in the workspace, in the history, before the model."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest
from native_world import NativeGateway, Operator, Refused, call_tool, provider, text_of

from openclaw_tenancy.demo.fakellm import FakeLLM

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4//8/AAX+Av6n1gWbAAAAAElFTkSuQmCC")


def attachment(data: bytes, **more: Any) -> dict[str, Any]:
    return {"type": "file", "content": base64.b64encode(data).decode(), **more}


@pytest.fixture
async def seeing(native: NativeGateway, llm: FakeLLM) -> Operator:
    """An operator of a gateway whose model takes images."""
    models = {"fake": provider(llm.base_url, input=["text", "image"])}
    native.config["models"]["providers"] = models
    await native.start()
    return await native.operator()


def last_user(llm: FakeLLM) -> Any:
    return next(message for message in reversed(llm.requests[-1].body["messages"]) if message["role"] == "user")


async def test_an_image_is_kept_and_shown_to_the_model(seeing: Operator, native: NativeGateway, llm: FakeLLM) -> None:
    end = await seeing.turn("what is this?", attachments=[attachment(PNG, fileName="a dot.png", mimeType="image/png")])
    assert end["state"] == "final"
    text, image = last_user(llm)["content"]
    assert text["text"].startswith("[media attached: media/inbound/a-dot---")
    assert text["text"].endswith("(image/png)]\nwhat is this?")
    assert image["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    message = (await seeing.call("chat.history", {"sessionKey": "main"}))["messages"][0]
    assert message["content"] == "what is this?"
    (fact,) = message["__openclaw"]["media"]
    assert (fact["contentType"], fact["kind"], fact["sizeBytes"]) == ("image/png", "image", len(PNG))
    kept = native.state / "workspace" / "media" / "inbound" / fact["url"].removeprefix("media://inbound/")
    assert kept.read_bytes() == PNG
    assert (native.state / "workspace" / "AGENTS.md").exists()
    await seeing.turn("and now?")
    pictures = [message for message in llm.requests[-1].body["messages"] if isinstance(message["content"], list)]
    assert len(pictures) == 1


async def test_a_model_without_eyes_is_told(operator: Operator, llm: FakeLLM) -> None:
    await operator.turn("", attachments=[{"source": {"type": "base64", "data": base64.b64encode(PNG).decode()}}])
    shown = last_user(llm)["content"]
    assert "[User sent media without caption]" in shown[0]["text"]
    assert shown[1] == {"type": "text", "text": "[an image that this model cannot see]"}


async def test_a_text_is_read_and_can_be_used(operator: Operator, llm: FakeLLM) -> None:
    data = b"the code is 42 \xff" + b"x" * 30_000
    await operator.turn(
        "read it", attachments=[attachment(data, fileName="../../etc/notes.txt", mimeType="text/plain")]
    )
    shown = last_user(llm)["content"]
    assert "the code is 42" in shown
    assert "[cut: read the file for the rest]" in shown
    assert len(shown) < 25_000
    path = shown.partition("[media attached: ")[2].partition(" (")[0]
    assert path.startswith("media/inbound/notes---")
    assert "the code is 42" in await call_tool(operator, "read", path=path)
    assert "the code is 42" in await call_tool(operator, "exec", command=f"head -c 40 {path}")


@pytest.mark.parametrize("method", ["sessions.send", "agent"])
async def test_other_ways_take_files_too(operator: Operator, llm: FakeLLM, method: str) -> None:
    await operator.turn("hello")
    params: dict[str, Any] = {
        "message": "look",
        "idempotencyKey": str(uuid.uuid4()),
        "attachments": [attachment(b"abc")],
    }
    params["key" if method == "sessions.send" else "sessionKey"] = "agent:main:main"
    await operator.call(method, params)
    end = await operator.ended(params["idempotencyKey"])
    assert "media attached: media/inbound/" in text_of(end)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "image", "content": "not base64!"}, "Error: attachment image: invalid base64 content"),
        ({"fileName": "a.txt", "content": ""}, "attachment a.txt: empty payload"),
        (attachment(PNG + b"0" * 6_291_456, fileName="big.png"), "image exceeds size limit"),
    ],
    ids=["base64", "empty", "size"],
)
async def test_what_is_not_taken(operator: Operator, given: dict[str, Any], words: str) -> None:
    params = {"sessionKey": "main", "message": "x", "idempotencyKey": str(uuid.uuid4()), "attachments": [given]}
    with pytest.raises(Refused, match=words):
        await operator.call("chat.send", params)
    assert (await operator.call("chat.history", {"sessionKey": "main"}))["messages"] == []


async def test_the_same_key_is_one_message(operator: Operator, native: NativeGateway, llm: FakeLLM) -> None:
    params = {"sessionKey": "main", "message": "once", "idempotencyKey": "k", "attachments": [attachment(b"abc")]}
    requests = [await operator.send("chat.send", params) for _ in range(2)]
    answers = [await operator.answer(request) for request in requests]
    assert sorted(answer["status"] for answer in answers) in (["in_flight", "started"], ["ok", "started"])
    await operator.ended("k")
    assert len(llm.requests) == 1


async def test_a_file_that_is_gone_is_said_to_be(operator: Operator, native: NativeGateway, llm: FakeLLM) -> None:
    await operator.turn("keep it", attachments=[attachment(PNG, mimeType="image/png")])
    for path in (native.state / "workspace" / "media" / "inbound").iterdir():
        path.unlink()
    await operator.turn("where is it?")
    assert "is not there any more" in llm.requests[-1].body["messages"][1]["content"]
