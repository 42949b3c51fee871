"""The scripted language model over real sockets: both APIs, streamed and whole, and every way to fail."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from typing import Any

import pytest

from deadlines import eventually_sync
from openclaw_tenancy.demo.fakellm import FakeLLM

USER = "user"


def post(llm: FakeLLM, text: str, *, api: str = "openai", stream: bool = True) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", llm.port, timeout=10)
    path = "/v1/chat/completions" if api == "openai" else "/v1/messages"
    body = {"model": "fake-model", "stream": stream, "messages": [{"role": USER, "content": text}]}
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    return connection.getresponse()


def events(response: http.client.HTTPResponse) -> list[dict[str, Any]]:
    lines = response.read().decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def openai_text(chunks: list[dict[str, Any]]) -> str:
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


def test_streams_an_echo_in_openai_chunks(llm: FakeLLM) -> None:
    response = post(llm, "hello there")
    raw = response.read().decode()
    assert raw.endswith("data: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in raw.splitlines() if line.startswith("data: {")]
    assert openai_text(chunks) == "You said: hello there"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 4
    assert llm.requests[0].turn.text == "hello there"
    assert eventually_sync(lambda: llm.finished == 1, 5)


def test_streams_an_echo_in_anthropic_events(llm: FakeLLM) -> None:
    got = events(post(llm, "hello there", api="anthropic"))
    kinds = [event["type"] for event in got]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    text = "".join(event["delta"]["text"] for event in got if event["type"] == "content_block_delta")
    assert text == "You said: hello there"


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_answers_whole_without_stream(llm: FakeLLM, api: str) -> None:
    body = json.loads(post(llm, "one two", api=api, stream=False).read())
    text = body["choices"][0]["message"]["content"] if api == "openai" else body["content"][0]["text"]
    assert text == "You said: one two"


@pytest.mark.parametrize("marker", ["TOOL", "SPLITTOOL"])
def test_calls_a_tool_in_both_apis(llm: FakeLLM, marker: str) -> None:
    text = f'{marker}:ls {{"path": "."}}'
    chunks = events(post(llm, text))
    calls = [chunk["choices"][0]["delta"].get("tool_calls", [{}])[0] for chunk in chunks if chunk["choices"]]
    arguments = [call["function"]["arguments"] for call in calls if call]
    assert json.loads("".join(arguments)) == {"path": "."}
    assert len(arguments) == (2 if marker == "TOOL" else 6)
    got = events(post(llm, text, api="anthropic"))
    partial = [event["delta"]["partial_json"] for event in got if event["type"] == "content_block_delta"]
    assert json.loads("".join(partial)) == {"path": "."}


def test_hold_sends_half_and_waits_for_release(llm: FakeLLM) -> None:
    response = post(llm, "HOLD WORDS:8")
    first = b""
    while b"word3 " not in first:
        first += response.readline()
    assert llm.finished == 0
    llm.release()
    assert b"word7" in response.read()
    assert eventually_sync(lambda: llm.finished == 1, 5)


def test_fails_as_often_as_asked(llm: FakeLLM) -> None:
    statuses = []
    for _ in range(3):
        response = post(llm, "FAIL:429*2 then work")
        statuses.append((response.status, response.getheader("retry-after")))
        response.read()
    assert statuses == [(429, "1"), (429, "1"), (200, None)]
    assert post(llm, "FAIL:500").status == 500


def test_cut_ends_the_connection_in_the_middle(llm: FakeLLM) -> None:
    with pytest.raises(http.client.IncompleteRead):
        post(llm, "CUT WORDS:6").read()


def test_garble_sends_a_chunk_that_is_no_json(llm: FakeLLM) -> None:
    lines = post(llm, "GARBLE WORDS:6").read().decode().splitlines()
    bad = [line for line in lines if line.startswith("data: {") and not line.endswith("}")]
    assert len(bad) == 1


def test_refuses_what_it_does_not_know(llm: FakeLLM) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", llm.port, timeout=10)
    for path, body, status in (("/v1/embeddings", "{}", 404), ("/v1/messages", "{", 400), ("/v1/messages", "[]", 400)):
        connection.request("POST", path, body)
        response = connection.getresponse()
        assert (response.status, "error" in json.loads(response.read())) == (status, True)
    connection.request("GET", "/v1/models")
    assert json.loads(connection.getresponse().read())["data"][0]["id"] == "fake-model"


def test_runs_as_a_module_and_ends_on_sigterm() -> None:
    argv = [sys.executable, "-m", "openclaw_tenancy.demo.fakellm", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert 0 < int(process.stdout.readline()) < 65536
        process.terminate()
        assert process.wait(10) == 0
